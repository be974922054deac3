"""`compare`: two runs, sample by sample."""

from __future__ import annotations

import argparse

SUMMARY = "Compare two runs on the samples that both have: changes with paired intervals and tests."
EXAMPLES = """  eval-anything compare runs/before runs/after
  eval-anything compare baseline.json runs/after --format md
  eval-anything compare runs/before runs/after --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", help="a run's directory, or a baseline file")
    parser.add_argument("after", help="likewise")
    parser.add_argument("--format", choices=("table", "md", "json"), default="table", help="default: table")
    parser.add_argument("--resamples", type=int, default=10_000, metavar="N", help="default 10000")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the resampling (default 0)")
    parser.add_argument("--json", action="store_true", help="short for --format json")


def execute(args: argparse.Namespace) -> int:
    from pathlib import Path

    from eval_anything.errors import UsageError
    from eval_anything.paired.compare import Terms, compare
    from eval_anything.paired.output import render
    from eval_anything.paired.scores import read

    if args.resamples < 100:
        raise UsageError(f"--resamples must be at least 100, not {args.resamples}")
    before, after = (read(Path(path).expanduser()) for path in (args.before, args.after))
    found = compare(before, after, Terms(resamples=args.resamples, seed=args.seed))
    print(render(found, "json" if args.json else args.format), end="")
    return 0
