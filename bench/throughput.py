"""How close `eval-anything run` comes to what the server allows.

Runs the whole command, start-up and results included, and a bare aiohttp client, one after the other,
against one server process whose answers take 0.4 s on average (log-normal). For each prints

    wall          seconds from start to exit
    of ideal      (sum of the server's latencies / places) / wall
    vs bare       wall / wall of the bare client
    CPU ms        user and system time of the process, for each request
    peak MB       its largest resident set

    python bench/throughput.py            all of it, about five minutes
    python bench/throughput.py --quick    1,000 requests at 128 places only
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parent
SERVER = BENCH.parent / "tests" / "servers" / "openai_server.py"
IMAGE_SIDE = 260  # pixels of noise: a PNG of 203 KB


@dataclass(frozen=True)
class Load:
    requests: int
    places: int
    images: bool = False

    @property
    def name(self) -> str:
        return f"{self.requests} {'images' if self.images else 'texts'}, {self.places} places"


@dataclass(frozen=True)
class Measured:
    wall_s: float
    cpu_s: float
    peak_mb: float
    ideal_s: float


FULL = [Load(n, places) for n in (1000, 5000) for places in (32, 128, 256)] + [Load(500, 32, images=True)]
QUICK = [Load(1000, 128)]


@contextlib.contextmanager
def serving(latency: str) -> Iterator[str]:
    command = [sys.executable, str(SERVER), "--latency", latency]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()


def write_data(folder: Path, load: Load) -> None:
    folder.mkdir()
    (folder / "count.txt").write_text(str(load.requests))
    if not load.images:
        return
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for n in range(load.requests):
        noise = rng.integers(0, 256, (IMAGE_SIDE, IMAGE_SIDE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{n}.png")


def ours(url: str, data: Path, out: Path, load: Load) -> list[str]:
    task = "bench_image" if load.images else "bench_text"
    command = [sys.executable, "-m", "eval_anything", "run", "--model", "openai/m", "--base-url", url]
    command += ["--include", str(BENCH / "plugins"), "--tasks", task, "--data", str(data), "--quiet"]
    return [*command, "--judge", "bench_judge", "--concurrency", str(load.places), "--out", str(out)]


def bare(url: str, data: Path, load: Load) -> list[str]:
    kind = "images" if load.images else "texts"
    return [sys.executable, str(BENCH / "bare_client.py"), url, str(data), str(load.places), kind]


def measure(command: list[str], url: str, load: Load, log: Path) -> Measured:
    """Raises SystemExit with the command's own words when it fails or leaves requests out."""
    ask(url, "reset")
    started = time.perf_counter()
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
        # wait4 alone tells what this one child used.
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    served = ask(url, "stats")
    if process.returncode or served["requests"] != load.requests:
        sys.exit(f"{' '.join(command)}\n{log.read_text()}\n{load.name}: served {served}")
    cpu = used.ru_utime + used.ru_stime
    return Measured(wall, cpu, used.ru_maxrss / 1024, served["latency_s"] / load.places)


def ask(url: str, what: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/{what}") as reply:
        told: dict[str, float] = json.load(reply)
    return told


def row(load: Load, who: str, one: Measured, other: Measured) -> dict[str, str | float]:
    return {
        "load": load.name,
        "who": who,
        "wall": round(one.wall_s, 2),
        "of ideal": f"{one.ideal_s / one.wall_s:.1%}",
        "vs bare": round(one.wall_s / other.wall_s, 3),
        "CPU ms": round(1000 * one.cpu_s / load.requests, 2),
        "peak MB": round(one.peak_mb),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput of `eval-anything run` beside a bare client.")
    parser.add_argument("--quick", action="store_true", help="one load only")
    parser.add_argument(
        "--latency", default="lognormal:0.4", help="as tests/servers/openai_server.py takes it"
    )
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines as they come")
    args = parser.parse_args()
    rows = []
    with serving(args.latency) as url, tempfile.TemporaryDirectory() as scratch:
        for number, load in enumerate(QUICK if args.quick else FULL):
            data, out = Path(scratch, f"data{number}"), Path(scratch, f"run{number}")
            log = Path(scratch, "log.txt")
            write_data(data, load)
            least = measure(bare(url, data, load), url, load, log)
            whole = measure(ours(url, data, out, load), url, load, log)
            rows += [row(load, "bare client", least, least), row(load, "eval-anything", whole, least)]
            if args.json:
                print(*map(json.dumps, rows[-2:]), sep="\n", flush=True)
    if not args.json:
        from tabulate import tabulate

        print(tabulate(rows, headers="keys"))


if __name__ == "__main__":
    main()
