"""Memory and time of 30,000 preference pairs with pictures inside of one parquet file.

    python plugins/train/bench/data_memory.py [PAIRS] [BYTES_OF_A_PICTURE]

Prints the size of the file, and for the first load (pictures become files), a second load (from the cache), a
pass over all records, and records in random order: seconds, and the most memory so far.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAIRS, PICTURE = 30_000, 20_000
_GROUP = 1000


def write(path: Path, pairs: int, size: int) -> None:
    import pyarrow
    import pyarrow.parquet

    from eval_anything.synth import image
    from eval_anything.synth.scene import scene

    picture = image.png(scene(random.Random(0)))

    def row(number: int) -> dict[str, Any]:
        # What follows the end of a PNG is not looked at; random bytes cannot be compressed.
        content = picture + os.urandom(max(0, size - len(picture)))
        texts = {f"response_{n}": f"answer {n} to question {number}, in so many words " * 8 for n in (1, 2)}
        rates = {f"{name}_rate_{n}": n for name in ("clarity", "safety") for n in (1, 2)}
        shown = {"image": {"bytes": content, "path": f"{number}.png"}}
        return {
            "question": f"question {number}",
            **shown,
            **texts,
            **rates,
            "overall_response": 1 + number % 2,
        }

    writer = None
    for start in range(0, pairs, _GROUP):
        rows = [row(number) for number in range(start, min(start + _GROUP, pairs))]
        table = pyarrow.Table.from_pylist(rows)
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def measure(path: Path) -> None:
    from eval_anything_train.data.dataset import fingerprint
    from eval_anything_train.data.source import load
    from eval_anything_train.values import Pair

    def timed(what: str, run: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = run()
        print(f"{what:<28} {time.perf_counter() - start:8.1f} s {_most():8d} MB", flush=True)
        return found

    timed("imports", lambda: __import__("eval_anything.media.store"))
    data = timed("first load", lambda: load(str(path), Pair))
    data = timed("second load", lambda: load(str(path), Pair))
    timed("fingerprint", lambda: fingerprint(data.records))
    timed("all records in order", lambda: sum(len(record.chosen) for record in data.records))
    order = random.Random(0).sample(range(len(data.records)), len(data.records))
    timed("all records at random", lambda: sum(len(data.records[i].chosen) for i in order))


def _most() -> int:
    """The most memory of this process, in MB; what getrusage says begins with that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]))
        return
    pairs, size = (int(v) for v in (sys.argv[1:] + [str(PAIRS), str(PICTURE)][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.parquet"
        write(path, pairs, size)
        print(f"{pairs} pairs, {path.stat().st_size / 1e6:.0f} MB")
        # A process of its own: what writing has taken does not count.
        env = {**os.environ, "EVAL_ANYTHING_HOME": str(Path(folder) / "home")}
        subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True, env=env)


if __name__ == "__main__":
    main()
