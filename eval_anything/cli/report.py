"""`report`: a run's results again, or its samples."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval_anything.results.table import Format
    from eval_anything.results.values import Results

SUMMARY = (
    "Show the results of a run, also of one that is unfinished; write them to a file; export its samples."
)
EXAMPLES = """  eval-anything report runs/NAME
  eval-anything report runs/NAME --format md --out results.md
  eval-anything report runs/NAME --json
  eval-anything report runs/NAME --samples"""

# Those of `eval_anything.results.table`, which --help need not import; a test holds them together.
_FORMATS = ("table", "md", "csv", "json", "latex", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of the run")
    parser.add_argument("--format", choices=_FORMATS, default="table", help="default: %(default)s")
    parser.add_argument("--json", action="store_const", dest="format", const="json", help="--format json")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")
    parser.add_argument("--samples", action="store_true", help="also write samples_<task>.jsonl into the run")


def execute(args: argparse.Namespace) -> int:
    from eval_anything.results.results import load, write_atomically

    _check(args.run)
    results = load(args.run)
    if args.out is not None:
        from eval_anything.results.table import render

        write_atomically(args.out, render(results, args.format).encode())
        print(f"wrote {args.out}", file=sys.stderr)
    else:
        _print(results, args.format)
    if args.samples:
        from eval_anything.results.export import export_samples

        for path in export_samples(args.run):
            print(f"wrote {path}", file=sys.stderr)
    return 0


def _print(results: Results, format: Format) -> None:
    from eval_anything.results.table import print_table, render

    if format == "table":
        print_table(results)
    else:
        sys.stdout.write(render(results, format))


def _check(run: Path) -> None:
    """Raises UsageError for what is no run, with the nearest run beside it."""
    from eval_anything.errors import UsageError
    from eval_anything.results.results import MANIFEST
    from eval_anything.suggest import nearest

    if (run / MANIFEST).is_file():
        return
    beside = {path.parent.name for path in run.parent.glob(f"*/{MANIFEST}")}
    hit = nearest(run.name, beside)
    hint = f"; did you mean {run.parent / hit}?" if hit else ""
    raise UsageError(f"{run}: no run here: it has no {MANIFEST}{hint}")
