"""`report`: a run's results again, or its samples."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval_anything.results.table import Format

SUMMARY = (
    "Show the results of one or several runs, also of unfinished ones; write them to a file, or as a folder"
    " of pages with every sample to look at; export samples."
)
EXAMPLES = """  eval-anything report runs/NAME
  eval-anything report runs/NAME --format md --out results.md
  eval-anything report runs/BEFORE runs/AFTER
  eval-anything report runs/BEFORE runs/AFTER --format html --out report
  eval-anything report runs/NAME --json
  eval-anything report runs/NAME --samples"""

# Those of `eval_anything.results.table`, which --help need not import; a test holds them together.
_FORMATS = ("table", "md", "csv", "json", "latex", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory of a run")
    parser.add_argument("--format", choices=_FORMATS, default="table", help="default: %(default)s")
    parser.add_argument("--json", action="store_const", dest="format", const="json", help="--format json")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write there instead of printing; html: a folder of pages"
    )
    parser.add_argument(
        "--samples", action="store_true", help="also write samples_<task>.jsonl into the runs"
    )


def execute(args: argparse.Namespace) -> int:
    for run in args.runs:
        _check(run)
    if args.format == "html":
        _write_pages(args.runs, args.out)
    else:
        _show(args.runs, args.format, args.out)
    if args.samples:
        from eval_anything.results.export import export_samples

        for path in (path for run in args.runs for path in export_samples(run)):
            print(f"wrote {path}", file=sys.stderr)
    return 0


def _write_pages(runs: list[Path], out: Path | None) -> None:
    from eval_anything.errors import UsageError
    from eval_anything.report.site import build_report

    if out is None and len(runs) > 1:
        raise UsageError("--format html of several runs: name a folder with --out")
    print(f"wrote {build_report(runs, out or runs[0] / 'report')}", file=sys.stderr)


def _show(runs: list[Path], format: Format, out: Path | None) -> None:
    from eval_anything.results.results import load, write_atomically
    from eval_anything.results.table import print_table, render_several

    results = [load(run) for run in runs]
    if out is not None:
        write_atomically(out, render_several(results, format).encode())
        print(f"wrote {out}", file=sys.stderr)
    elif format == "table":
        print_table(results)
    else:
        sys.stdout.write(render_several(results, format))


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
