"""How close `eval-anything run` comes to what the server allows.

Runs the whole command, start-up and results included, and a bare aiohttp client, one after the other,
against one server process whose answers take 0.4 s on average (log-normal), and 5 or 10 s where 1,000 or
3,000 requests are in flight, as with a server that is that busy. For each prints

    wall          seconds from start to exit
    of ideal      (sum of the server's latencies / places) / wall
    vs bare       wall / wall of the bare client
    CPU ms        user and system time of the process, for each request
    peak MB       its largest resident set

    python bench/throughput.py            all of it, about eight minutes
    python bench/throughput.py --quick    1,000 requests at 128 places only
    python bench/throughput.py --many     1,000 and 3,000 requests in flight only
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
    latency: str = "lognormal:0.4"
    """Of the server, as tests/servers/openai_server.py takes it."""

    @property
    def name(self) -> str:
        return f"{self.requests} {'images' if self.images else 'texts'}, {self.places} places"


@dataclass(frozen=True)
class Measured:
    wall_s: float
    cpu_s: float
    peak_mb: float
    ideal_s: float


MANY = [Load(5000, 1000, latency="lognormal:5"), Load(12000, 3000, latency="lognormal:10")]
FULL = [Load(n, places) for n in (1000, 5000) for places in (32, 128, 256)]
FULL += [Load(500, 32, images=True), *MANY]
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
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--quick", action="store_true", help="one load only")
    some.add_argument("--many", action="store_true", help="1,000 and 3,000 requests in flight only")
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines as they come")
    args = parser.parse_args()
    rows = []
    loads = QUICK if args.quick else MANY if args.many else FULL
    with tempfile.TemporaryDirectory() as scratch:
        for number, load in enumerate(loads):
            pair = measured(load, Path(scratch, str(number)))
            rows += pair
            if args.json:
                print(*map(json.dumps, pair), sep="\n", flush=True)
    if not args.json:
        from tabulate import tabulate

        print(tabulate(rows, headers="keys"))


def measured(load: Load, scratch: Path) -> list[dict[str, str | float]]:
    """The rows of the bare client and of ours."""
    scratch.mkdir()
    data, log = scratch / "data", scratch / "log.txt"
    write_data(data, load)
    with serving(load.latency) as url:
        least = measure(bare(url, data, load), url, load, log)
        whole = measure(ours(url, data, scratch / "run", load), url, load, log)
    return [row(load, "bare client", least, least), row(load, "eval-anything", whole, least)]


if __name__ == "__main__":
    main()
