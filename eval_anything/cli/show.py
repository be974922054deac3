"""`show`: what a task is."""

from __future__ import annotations

import argparse
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from eval_anything.registry import Plugins
    from eval_anything.reported import Reported

SUMMARY = "Show a task (what it asks and measures, its data, judge, options, licence, card), or a group."
EXAMPLES = """  eval-anything show amu
  eval-anything show amu --json
  eval-anything show amg
  eval-anything show my_task --include my_plugins/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="a task or a group; see `eval-anything ls tasks`")
    parser.add_argument(
        "--include", action="append", default=[], metavar="PATH", help="folder or file with more"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    from eval_anything.registry import Plugins

    plugins = Plugins(args.include)
    if args.task in plugins.groups.names():
        return _show_group(plugins, args)
    task = plugins.tasks.get(args.task)
    facts, reported = _facts(task), _reported(plugins, args.task)
    if args.json:
        print(json.dumps({**facts, "reported": msgspec.to_builtins(reported)}, indent=2))
        return 0
    print(f"{task.title}\n")
    for name, value in facts.items():
        if name not in ("options", "profiles") and value:
            print(f"{name + ':':16}{', '.join(value) if isinstance(value, list) else value}")
    if facts["options"]:
        print("\noptions (-T key=value):")
        for option in facts["options"]:
            print(f"  {option['name']} = {option['default']}\n      {option['help']}")
    if facts["profiles"]:
        _show_profiles(facts["profiles"])
    _show_reported(reported)
    card = Path(inspect.getfile(task)).parent / "README.md"
    if card.is_file():
        print(f"\n{card.read_text(encoding='utf-8').strip()}")
    return 0


def _show_profiles(profiles: dict[str, Any]) -> None:
    """What differs between the profiles: settings, then everything that is done otherwise than published."""
    print("\nprofiles (--profile NAME): corrected is the default")
    for name, values in profiles["settings"].items():
        print(f"  {name}: " + "; ".join(f"{profile} {value}" for profile, value in values.items()))
    for difference in profiles["differences"]:
        held = ", ".join(difference["profiles"]) or "all profiles"
        print(f"  {difference['name']} ({held})\n      {difference['what']}")


def _show_group(plugins: Plugins, args: argparse.Namespace) -> int:
    group, reported = plugins.groups.get(args.task), _reported(plugins, args.task)
    facts = {"name": group.name, "summary": group.summary, "tasks": list(group.tasks)}
    if args.json:
        print(json.dumps({**facts, "reported": msgspec.to_builtins(reported)}, indent=2))
        return 0
    print(f"{group.name}: {group.summary}\n\ntasks (eval-anything show TASK says more):")
    for name in group.tasks:
        print(f"  {name}: {plugins.tasks.get(name).summary}")
    _show_reported(reported)
    return 0


def _reported(plugins: Plugins, task: str) -> list[Reported]:
    """What others report for the task or group, by whatever package it comes with."""
    collections = [plugins.reported.get(name)() for name in plugins.reported.names()]
    return [row for collection in collections for row in collection.results() if row.task == task]


def _show_reported(reported: list[Reported]) -> None:
    from eval_anything.results.reported import reported_text

    if reported:
        print(f"\nreported by others, not measured here:\n\n{reported_text(reported)}")


def _facts(task: Any) -> dict[str, Any]:
    from eval_anything.docstrings import field_docs
    from eval_anything.stats.outline import outline

    made = task(task.Options())
    defaults, metrics = made.options, outline(made.aggregation())
    docs = field_docs(task.Options)
    return {
        "name": task.name,
        "version": task.version,
        "summary": task.summary,
        "inputs": list(task.inputs),
        "outputs": list(task.outputs),
        "data": list(task.data_kinds),
        "metrics": metrics.names,
        "scale": f"{metrics.low:g} to {metrics.high:g}",
        "protocol judge": made.protocol_judge,
        "offline judge": task.offline_judge,
        "licence": task.licence,
        "homepage": task.homepage,
        "citation": task.citation,
        "options": [
            {"name": name, "default": getattr(defaults, name), "help": docs.get(name, "")}
            for name in task.Options.__struct_fields__
        ],
        "profiles": _profiles(made),
    }


def _profiles(task: Any) -> dict[str, Any]:
    from eval_anything.protocol import ProtocolTask, differences, settings

    if not isinstance(task, ProtocolTask):
        return {}
    folder = task.protocol_folder()
    found = differences(folder)
    return {
        "settings": settings(folder),
        "differences": [{"name": d.name, "profiles": list(d.profiles), "what": d.what} for d in found],
    }
