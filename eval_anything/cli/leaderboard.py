"""`leaderboard`: submissions collected, and a site made of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

SUMMARY = (
    "Collect runs as submissions, and make a leaderboard of them: a folder of pages that opens from disk."
)
EXAMPLES = """  eval-anything leaderboard build --runs runs --out site
  eval-anything leaderboard build --runs board --out site --definition eval_anything
  eval-anything leaderboard build --runs board --out site --definition my_board.toml
  eval-anything leaderboard add runs/NAME --to board --name "My model"
  eval-anything leaderboard add runs/step-500 --to board --series "my training run" --step 500

exit codes: 0 done, 2 wrong usage, a submission that is refused, a damaged file, 3 cannot be written"""

_DEFINITION = "a TOML file, or one that is installed: eval_anything, external"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = verbs.add_parser("build", help="make the site", allow_abbrev=False)
    add = build.add_argument
    add("--runs", type=Path, required=True, metavar="DIR", help="folder of runs and of submissions")
    add("--out", type=Path, required=True, metavar="SITE", help="folder that is made, or made anew")
    add("--definition", metavar="NAME|FILE", help=f"{_DEFINITION}; else a column for all that was run")
    submit = verbs.add_parser("add", help="check a run, and keep its scores", allow_abbrev=False)
    add = submit.add_argument
    add("run", type=Path, metavar="RUN", help="a run's directory, or a baseline file")
    add("--to", type=Path, required=True, metavar="DIR", help="folder of submissions")
    add("--name", default="", help="shown in place of the model's spec")
    add("--series", default="", metavar="NAME", help="training run of which it is a checkpoint")
    add("--step", type=int, metavar="N", help="training step of the checkpoint")
    add("--definition", metavar="NAME|FILE", help=f"whose limits hold: {_DEFINITION}")
    add("--replace", action="store_true", help="take the place of the same model's earlier submission")


def execute(args: argparse.Namespace) -> int:
    return _build(args) if args.action == "build" else _add(args)


def _build(args: argparse.Namespace) -> int:
    from eval_anything.board.definition import read_definition
    from eval_anything.board.site import build
    from eval_anything.results.escape import plain

    definition = read_definition(args.definition) if args.definition else None
    board = build(args.runs.expanduser(), args.out.expanduser(), definition)
    for sheet in board.sheets:
        for line in sheet.lines:
            if not line.row.complete:
                print(plain(f"unfinished, not ranked: {line.row.name}"), file=sys.stderr)
    for left in board.left_out:
        print(plain(f"left out: {left.file}: {'; '.join(left.reasons)}"), file=sys.stderr)
    print(f"wrote {args.out / 'index.html'}")
    return 0


def _add(args: argparse.Namespace) -> int:
    from eval_anything.board.definition import read_definition
    from eval_anything.board.entry import About
    from eval_anything.board.submit import submit
    from eval_anything.errors import UsageError
    from eval_anything.results.escape import plain

    if args.step is not None and args.step < 0:
        raise UsageError(f"--step must be at least 0, not {args.step}")
    rules = read_definition(args.definition) if args.definition else None
    said = About(name=args.name, series=args.series, step=args.step)
    path, notes = submit(args.run.expanduser(), args.to.expanduser(), said, rules, replace=args.replace)
    for note in notes:
        print(plain(f"note: {note}"), file=sys.stderr)
    print(f"wrote {path}")
    return 0
