"""`ls`: list what is installed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from eval_anything.errors import UsageError

if TYPE_CHECKING:
    from eval_anything.registry import Registry

SUMMARY = "List tasks, groups of tasks, models, agents or judges: built-in, installed, and included."
EXAMPLES = """  eval-anything ls tasks
  eval-anything ls models --json
  eval-anything ls judges --include my_plugins/"""

_KINDS = ("tasks", "groups", "models", "agents", "judges")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=_KINDS, help="what to list")
    parser.add_argument(
        "--include", action="append", default=[], metavar="PATH", help="folder or file with more"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    from eval_anything.registry import Plugins

    registry = getattr(Plugins(args.include), args.kind)
    rows = [
        {"name": name, "summary": _summary(registry, name), "origin": registry.origin(name)}
        for name in registry.names()
    ]
    if args.json:
        import json

        print(json.dumps(rows, indent=2))
        return 0
    shown = [(r["name"] + ("/..." if args.kind == "models" else ""), r["summary"]) for r in rows]
    width = max((len(name) for name, _ in shown), default=0)
    for name, summary in shown:
        print(f"{name:{width}}  {summary}")
    return 0


def _summary(registry: Registry[Any], name: str) -> str:
    """The class's `summary`, or the first line of its docstring; a plug-in that does not load says so here
    and does not hide the others."""
    try:
        plugin = registry.get(name)
    except UsageError as fault:
        return f"({fault})"
    return str(getattr(plugin, "summary", None) or (plugin.__doc__ or "").strip().split("\n")[0])
