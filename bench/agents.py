"""What agents cost: how close a run comes to its busiest endpoint, and what generated media add to memory.

wall        200 samples by the text protocol: the model takes 100 ms, each tool 300 ms, the judge 100 ms,
            with 32 places each. The busiest endpoint, a tool, needs 7 rounds of 300 ms by itself.
            `of a sample` is one sample alone, whose start-up and chain of waits nobody can avoid.
peak MB     largest resident set of a run that makes 1,000 images of 1.1 MB each, and of the same run with
            images of 0.3 kB

python bench/agents.py
python bench/agents.py --quick     100 images in place of 1,000
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
PLACES, SAMPLES = 32, 200
MODEL_S, TOOL_S, JUDGE_S = 0.1, 0.3, 0.1
SLOTS = "[[response]]: words [[image_instruction]]: a fox [[audio_instruction]]: a bark"


def command(task: str, data: Path, out: Path, *options: str) -> list[str]:
    run = [
        sys.executable,
        "-m",
        "eval_anything",
        "run",
        "--tasks",
        task,
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    run += ["--include", str(BENCH / "plugins"), "--quiet", "--agent", "text-protocol"]
    run += ["--model", "fake/constant", "-M", f"reply={SLOTS}", "-M", "outputs=text"]
    return [*run, "--concurrency", str(PLACES), *options]


def measure(run: list[str]) -> tuple[float, float]:
    """Wall seconds and peak MB of one process. Raises SystemExit where it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(run)}\n{told.decode()}")
    return time.perf_counter() - began, used.ru_maxrss / 1024


def count(folder: Path, samples: int) -> Path:
    folder.mkdir()
    (folder / "count.txt").write_text(str(samples))
    return folder


def overlap(scratch: Path) -> str:
    slow = ["-M", f"delay_s={MODEL_S}", "--judge", "fake/rater", "-J", f"delay_s={JUDGE_S}"]
    for modality in ("image", "audio"):
        slow += ["-A", f"{modality}=fake/echo", "-A", f"{modality}.delay_s={TOOL_S}"]
    walls = []
    for samples in (1, SAMPLES):
        data = count(scratch / f"data{samples}", samples)
        walls.append(measure(command("bench_media", data, scratch / f"run{samples}", *slow))[0])
    one, whole = walls
    busiest = math.ceil(SAMPLES / PLACES) * TOOL_S
    start_up = one - (MODEL_S + TOOL_S + JUDGE_S)
    return (
        f"wall: {whole:.2f} s, of a sample {one:.2f} s; busiest endpoint alone {busiest:.2f} s: "
        f"{whole / busiest:.2f} times as long, {(whole - start_up) / busiest:.2f} without start-up"
    )


def memory(scratch: Path, images: int) -> str:
    data = count(scratch / "pictures", images)
    peaks = []
    for side in (8, 600):
        tool = ["--judge", "bench_judge", "--seed", "1", "-A", "image=noise/x", "-A", f"image.side={side}"]
        out = scratch / f"pictures{side}"
        peaks.append(measure(command("bench_picture", data, out, *tool))[1])
        made = len(list((out / "media").rglob("*.png")))
        if made != images:
            sys.exit(f"{made} images in {out}, not {images}")
    return f"peak MB: {peaks[1]:.0f} with {images} images of 1.1 MB, {peaks[0]:.0f} with small ones"


def main() -> None:
    parser = argparse.ArgumentParser(description="What agents cost, in time and in memory.")
    parser.add_argument("--quick", action="store_true", help="fewer images")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(overlap(Path(scratch)))
        print(memory(Path(scratch), 100 if args.quick else 1000))


if __name__ == "__main__":
    main()
