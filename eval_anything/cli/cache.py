"""`cache`: look at a response cache, or empty it."""

from __future__ import annotations

import argparse

SUMMARY = "Look at a response cache (the folder given to run --cache), or empty it."
EXAMPLES = """  eval-anything cache show ~/.cache/my-responses
  eval-anything cache clear ~/.cache/my-responses"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "clear"), help="what to do")
    parser.add_argument("folder", metavar="DIR", help="the cache's folder")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    import json
    import shutil
    from pathlib import Path

    from eval_anything.errors import UsageError
    from eval_anything.stores.cache import DATABASE, ResponseCache

    folder = Path(args.folder).expanduser()
    if not (folder / DATABASE).is_file():
        raise UsageError(f"{folder} is not a response cache (no {DATABASE} in it)")
    cache = ResponseCache(folder)
    facts = {
        "folder": str(folder),
        "responses": len(cache),
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    }
    cache.close()
    if args.action == "clear":
        for file in folder.glob(f"{DATABASE}*"):
            file.unlink()
        shutil.rmtree(folder / "media", ignore_errors=True)
    done = "removed" if args.action == "clear" else "holds"
    print(
        json.dumps(facts)
        if args.json
        else f"{folder} {done} {facts['responses']} responses, {facts['bytes']} bytes"
    )
    return 0
