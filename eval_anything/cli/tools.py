"""`tools`: the media generators that an agent's tools can stand on, and the environment that one needs."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "List the media generators that an agent's tools can stand on; build the environment of audiocraft."
EXAMPLES = """  eval-anything tools ls
  eval-anything tools ls --json
  eval-anything tools build-audiocraft
  eval-anything tools build-audiocraft --dir /data/audiocraft"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("ls", "build-audiocraft"), help="what to do")
    parser.add_argument(
        "--include", action="append", default=[], metavar="PATH", help="ls: folder or file with more"
    )
    parser.add_argument(
        "--dir", type=Path, help="build-audiocraft: where to (default: audiocraft in EVAL_ANYTHING_HOME)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    return _list(args) if args.action == "ls" else _build(args)


def _list(args: argparse.Namespace) -> int:
    from eval_anything.registry import Plugins

    models = Plugins(args.include).models
    found = [(name, kind) for name in models.names() if (kind := models.get(name)).makes]
    rows = [(name, kind.makes, (kind.__doc__ or "").strip().split("\n")[0]) for name, kind in found]
    if args.json:
        import json

        keys = ("name", "makes", "summary")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return 0
    for name, makes, summary in rows:
        print(f"{name + '/...':18}  {', '.join(makes):19}  {summary}")
    return 0


def _build(args: argparse.Namespace) -> int:
    import sys

    from eval_anything.home import home
    from eval_anything.registry import Plugins

    folder = (args.dir or home() / "audiocraft").expanduser().absolute()
    print(f"building {folder}: about 1.5 GB, a few minutes", file=sys.stderr)
    python = Plugins().models.get("audiocraft").build_environment(folder)
    option = f"python={python}"
    if args.json:
        import json

        print(json.dumps({"python": str(python), "option": option}))
    else:
        print(f"use the models audiocraft/facebook/... with the option {option}")
    return 0
