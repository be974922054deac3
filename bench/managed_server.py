"""What a managed server adds to vLLM's own start and stop; target: under 0.5 s.

Of each start: from the call until vLLM's process is there, and from its first "ready" (asked every 5 ms, by
somebody else) until the model can be asked. Of each stop: from the end of vLLM's process until the call
returns. vLLM's own times are between those, and shown beside them.

    python bench/managed_server.py --python .vllm/bin/python MODEL [--runs 3]

MODEL is a checkpoint's folder. -M args=--enforce-eager (and VLLM_CPU_KVCACHE_SPACE=1 on a CPU) make vLLM
start sooner; what is added stays the same.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from tabulate import tabulate

from eval_anything import options
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.vllm.options import VLLMOptions
from eval_anything.models.vllm.provider import VLLMModel

TARGET_S = 0.5


class Watch(threading.Thread):
    """Sees when vLLM's process begins, is ready, and ends; in seconds since the epoch."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.began = self.ready = self.ended = 0.0
        self.seen = threading.Event()
        """That it is ready."""

    def run(self) -> None:
        server = self._find()
        self.began = server.create_time()
        port = int(server.cmdline()[server.cmdline().index("--port") + 1])
        while not self.ready:
            time.sleep(0.005)
            self.ready = time.time() if _is_ready(port) else 0.0
        self.seen.set()
        while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.002)
        self.ended = time.time()

    def _find(self) -> psutil.Process:
        while True:
            for child in psutil.Process().children(recursive=True):
                try:
                    if "serve" in (line := child.cmdline()) and "supervisor.py" not in "".join(line):
                        return child
                except psutil.Error:
                    continue
            time.sleep(0.005)


def _is_ready(port: int) -> bool:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        asked.request("GET", "/health")
        return asked.getresponse().status == 200
    except OSError:
        return False
    finally:
        asked.close()


def measure(folder: Path, given: dict[str, str], scratch: Path) -> tuple[float, float, float, float]:
    """Seconds: added to the start, vLLM's own start, added to the stop, the stop as a whole."""

    async def go() -> tuple[float, float, float, float]:
        model = VLLMModel(str(folder), options.parse(VLLMOptions, given, "-M"))
        watch = Watch()
        watch.start()
        called = time.time()
        await model.start(ModelContext(store=ArtifactStore(scratch)))
        usable = time.time()
        await asyncio.to_thread(watch.seen.wait)
        added = watch.began - called + usable - watch.ready
        asked = time.time()
        await model.stop()
        stopped = time.time()
        watch.join(5)
        return added, watch.ready - watch.began, max(0.0, stopped - watch.ended), stopped - asked

    return asyncio.run(go())


def main() -> int:
    parser = argparse.ArgumentParser(description="What a managed server adds to vLLM's own start and stop.")
    parser.add_argument("model", type=Path, help="a checkpoint's folder")
    parser.add_argument("--python", required=True, help="interpreter of the environment with vLLM")
    parser.add_argument("-M", action="append", default=[], metavar="KEY=VALUE", help="option of vllm/")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    given = {"python": args.python, **dict(pair.split("=", 1) for pair in args.M)}
    with tempfile.TemporaryDirectory() as scratch:
        rows = [measure(args.model.absolute(), given, Path(scratch)) for _ in range(args.runs)]
    names = ["added to the start", "vLLM's own start", "added to the stop", "the stop as a whole"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    columns["added together"] = added = tuple(row[0] + row[2] for row in rows)
    table = [[name, statistics.median(times), *times] for name, times in columns.items()]
    headers = ["seconds", "median", *(f"run {n + 1}" for n in range(args.runs))]
    print(tabulate(table, headers=headers, floatfmt=".3f"))
    return int(statistics.median(added) > TARGET_S)


if __name__ == "__main__":
    sys.exit(main())
