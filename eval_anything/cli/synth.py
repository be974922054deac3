"""`synth`: write synthetic twins of benchmarks."""

from __future__ import annotations

import argparse

SUMMARY = "Write the synthetic twin of each task in its benchmark's own layout: real PNG, WAV and MP4 files."
EXAMPLES = """  eval-anything synth --tasks amu --out twins
  eval-anything synth --tasks amu --out twins --n 24 --seed 7
  eval-anything run --model fake/echo --tasks amu --data twins/amu --judge reference"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tasks", "-t", metavar="A,B", help="tasks or groups (default: all that have a twin)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="gets one folder for each task")
    parser.add_argument(
        "--n", type=int, metavar="N", help="items of each (default: as many as the benchmark)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="same seed, same bytes (default 0)")
    parser.add_argument(
        "--include", action="append", default=[], metavar="PATH", help="folder or file with more"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from eval_anything.errors import UsageError
    from eval_anything.registry import Plugins
    from eval_anything.run.assembly import expand

    if args.n is not None and args.n < 1:
        raise UsageError(f"--n must be at least 1, not {args.n}")
    plugins = Plugins(args.include)
    named = [name.strip() for name in args.tasks.split(",")] if args.tasks else plugins.tasks.names()
    classes = [plugins.tasks.get(name) for name in expand(plugins, named)[0]]
    without = [cls.name for cls in classes if "synthetic" not in cls.data_kinds]
    if args.tasks and without:
        raise UsageError(f"task {without[0]} has no synthetic twin")
    written = {}
    for cls in classes:
        if cls.name in without:
            continue
        folder = Path(args.out) / cls.name
        if folder.exists():
            raise UsageError(f"{folder} exists already: choose another --out")
        folder.parent.mkdir(parents=True, exist_ok=True)
        cls.write_synthetic(folder, args.n, args.seed)
        written[cls.name] = str(folder)
    print(json.dumps(written, indent=2) if args.json else "\n".join(written.values()))
    return 0
