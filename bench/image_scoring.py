"""Whether scoring images keeps the device busy: decoding beside the forward pass, against each stage alone.

Scores 3,200 JPEGs of 512 x 512 pixels with tiny checkpoints of the architectures of HPSv2 and ImageReward.
The "device" is one core: the forward pass computes in one thread, and images are decoded in one, so each
stage has a core of its own, alone and together, and together they can take as long as the slower one. The
checkpoints' sizes make a forward pass cost half as much again as decoding: what a run does besides has to fit
beside the decoding.

    decoding alone     reading, decoding and resizing every image
    forward alone      the model on batches of images that lie in memory
    both, as a reward  `reward("hpsv2").score(prompts, files)`
    both, as a judge   the judge's `score` on 40 cases at a time, which is what a run keeps in flight
    a whole run        `eval-anything run` on recorded answers, less what the same run of one answer takes

`of the slower alone` is to be at least 90 %. A run also checks and stores each image, writes the journal and
computes results: about two milliseconds an image, on the same two cores.

    python bench/image_scoring.py                            both models, about five minutes
    python bench/image_scoring.py --images 400 --model hpsv2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in the runs
BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent / "tests"))

import tiny_rewards  # noqa: E402
from tabulate import tabulate  # noqa: E402

IN_FLIGHT = 40
BATCH = 16
SIZES: dict[str, dict[str, Any]] = {
    "hpsv2": {
        "vision_cfg": {"image_size": 224, "layers": 3, "width": 160, "head_width": 80, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    },
    "image_reward": {"vision": {"width": 128, "depth": 4, "heads": 2, "side": 224, "patch": 16}},
}


def draw(folder: Path, count: int) -> list[Path]:
    """Soft shapes under grain, about 80 kB each, as photographs are."""
    import numpy as np
    import PIL.Image
    from PIL import ImageChops

    rng = np.random.default_rng(0)
    grain = PIL.Image.fromarray(rng.integers(0, 25, (512, 512, 3), dtype=np.uint8))
    files = []
    folder.mkdir()
    for number in range(count):
        shapes = PIL.Image.fromarray(rng.integers(0, 230, (12, 12, 3), dtype=np.uint8))
        image = ImageChops.add(shapes.resize((512, 512)), ImageChops.offset(grain, number))
        files.append(folder / f"{number}.jpg")
        image.save(files[-1], quality=90)
    return files


def prompt(number: int) -> str:
    return f"a red circle and two foxes, number {number}, painted in soft light"


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - busy


class Stages:
    """Each way to score the same images with one tiny checkpoint."""

    def __init__(self, name: str, scratch: Path, files: list[Path]) -> None:
        from eval_anything.judges.images import reward

        self.name, self.scratch, self.files = name, scratch, files
        self.folder = getattr(tiny_rewards, name)(scratch / name, **SIZES[name])
        self.scorer = reward(name, model=str(self.folder), device="cpu")
        self.prompts = [prompt(number) for number in range(len(files))]

    def decoding(self) -> None:
        from eval_anything.media.convert import load_image

        for file in self.files:
            self.scorer.pixels(load_image(file))

    def forward(self) -> Callable[[], None]:
        """The forward passes of all images; some stand for the others."""
        from eval_anything.media.convert import load_image

        some = [self.scorer.pixels(load_image(file)) for file in self.files[:BATCH]]

        def work() -> None:
            for start in range(0, len(self.files), BATCH):
                batch = self.prompts[start : start + BATCH]
                self.scorer.run(batch, some[: len(batch)])

        return work

    def as_reward(self) -> None:
        self.scorer.score(self.prompts, self.files, batch_size=BATCH, workers=1)

    def as_judge(self) -> Callable[[], None]:
        from eval_anything.judge import Case, Rubric
        from eval_anything.media.store import ArtifactStore
        from eval_anything.registry import Plugins
        from eval_anything.values import Message, Response, Sample, Text

        cls = Plugins().judges.get(self.name)
        judge = cls(cls.Options(model=str(self.folder), device="cpu", batch_size=BATCH, workers=1))
        judge.scorer()
        store = ArtifactStore(self.scratch / f"{self.name}-media")
        cases = [
            Case(
                sample=Sample(id=file.stem, messages=(Message("user", (Text(text),)),)),
                response=Response(parts=(store.part(store.add_file(file, "image", inside=file.parent)),)),
                rubric=Rubric(system="", user=""),
                store=store,
            )
            for text, file in zip(self.prompts, self.files, strict=True)
        ]

        async def work() -> None:
            waiting = iter(cases)

            async def place() -> None:
                for case in waiting:
                    assert (await judge.score(case)).state == "scored"

            await asyncio.gather(*(place() for _ in range(IN_FLIGHT)))

        return lambda: asyncio.run(work())

    def run(self, count: int) -> tuple[float, float]:
        """Wall and CPU seconds of a whole command on the first `count` images."""
        data = self.scratch / f"{self.name}-{count}"
        data.mkdir()
        (data / "count.txt").write_text(str(count))
        rows = [{"id": str(n), "parts": [{"type": "image", "path": f"images/{n}.jpg"}]} for n in range(count)]
        recording = self.scratch / f"{self.name}-{count}.jsonl"
        recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = [sys.executable, "-m", "eval_anything", "run", "--model", f"replay/{recording}", "--quiet"]
        command += ["--include", str(BENCH / "plugins"), "--tasks", "bench_picture", "--data", str(data)]
        command += ["--judge", self.name, "-J", f"model={self.folder}", "-J", "device=cpu"]
        command += ["-J", f"batch_size={BATCH}", "-J", "workers=1", "--out", str(data / "run")]
        log = data / "log.txt"
        began = time.perf_counter()
        with log.open("wb") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)}\n{log.read_text()}")
        return wall, used.ru_utime + used.ru_stime


def measure(name: str, scratch: Path, files: list[Path]) -> list[list[str]]:
    stages = Stages(name, scratch, files)
    stages.scorer.score(stages.prompts[:BATCH], files[:BATCH])  # what is done once is done
    measured = {
        "decoding alone": seconds(stages.decoding),
        "forward alone": seconds(stages.forward()),
        "both, as a reward": seconds(stages.as_reward),
        "both, as a judge": seconds(stages.as_judge()),
    }
    slower = max(measured[stage][0] for stage in ("decoding alone", "forward alone"))
    one, whole = stages.run(1), stages.run(len(files))
    measured["a whole run"] = (whole[0] - one[0], whole[1] - one[1])
    measured["  with its start"] = whole
    return [
        [
            name,
            what,
            f"{wall:.2f}",
            f"{len(files) / wall:.0f}",
            f"{1000 * cpu / len(files):.2f}",
            f"{slower / wall:.0%}",
        ]
        for what, (wall, cpu) in measured.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Decoding beside the forward pass of reward models.")
    parser.add_argument("--images", type=int, default=3200, help="how many are scored")
    parser.add_argument("--model", choices=sorted(SIZES), help="one of the two alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        files = draw(scratch / "images", args.images)
        rows = []
        for name in [args.model] if args.model else sorted(SIZES):
            rows += measure(name, scratch, files)
    headers = ["model", "", "wall s", "images/s", "CPU ms/image", "of the slower alone"]
    print(tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", "left", *["right"] * 4)))
    if any(
        float(wall) > 1.1 * float(cpu) * args.images / 1000
        for _, what, wall, _, cpu, _ in rows
        if "alone" in what
    ):
        print("A stage alone waited for a core: other work was running, and no ratio above is worth much.")


if __name__ == "__main__":
    main()
