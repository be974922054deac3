"""The command line: one module per verb, imported when its verb is called."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

_VERBS = {
    "run": "score a model on tasks",
    "ls": "list tasks, models, judges",
    "show": "what a task is: data, protocol, judge, prompts, licence",
    "report": "show a run's results again, or export them",
    "compare": "two runs, sample by sample",
    "gate": "is a candidate worse than a baseline? by exit code",
    "leaderboard": "collect runs, and make a site of them",
    "watch": "score each new checkpoint of a training run",
    "judge-agreement": "how far a judge can be relied on",
    "synth": "write synthetic twins of benchmarks",
    "tools": "list media generators, build what they need",
    "cache": "look at or empty the response cache",
}
_APART = {"train": ("train models on preferences and language feedback", "eval-anything-train")}
"""Verbs of distributions of their own: what they do, and what to install for them."""
_GROUP = "eval_anything.verbs"
_PIPE_CLOSED = 141
_EXAMPLES = """examples:
  eval-anything run --model fake/echo --tasks amu --data synthetic
  eval-anything run --model openai/gpt-4o --tasks amu
  eval-anything ls tasks
  eval-anything report runs/NAME --format md

exit codes: 0 done, 1 regression found by gate, 2 wrong usage, 3 too many errors or nothing could be scored"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not arguments or arguments[0] in ("-h", "--help", "--version"):
        return _without_verb(arguments)
    verb = _load(arguments[0])
    if verb is None:
        return _unknown_verb(arguments[0])
    parser = Parser(
        prog=f"eval-anything {arguments[0]}",
        description=verb.SUMMARY,
        epilog=f"examples:\n{verb.EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verb.add_arguments(parser)
    return _execute(verb, parser, arguments[1:])


def _execute(verb: ModuleType, parser: Parser, arguments: Sequence[str]) -> int:
    from eval_anything.errors import EvalAnythingError, UsageError

    try:
        args = parser.parse(arguments)
        code: int = verb.execute(args)
    except EvalAnythingError as fault:
        print(f"eval-anything: {fault}", file=sys.stderr)
        return 2 if isinstance(fault, UsageError) else 3
    except KeyboardInterrupt:
        print("eval-anything: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _PIPE_CLOSED
    except OSError as fault:  # a full disk, a folder that may not be written, a file where a folder should be
        place = "" if fault.filename is None else f"{fault.filename}: "
        print(f"eval-anything: {place}{fault.strerror or fault}", file=sys.stderr)
        return 3
    return code


def _load(name: str) -> ModuleType | None:
    """The verb's module: one of ours, or of an installed package that names it in its metadata."""
    if name in _VERBS:
        return importlib.import_module(f"eval_anything.cli.{name.replace('-', '_')}")
    from importlib.metadata import entry_points

    found = tuple(entry_points(group=_GROUP, name=name))
    return found[0].load() if found else None


def _unknown_verb(name: str) -> int:
    if name in _APART:
        package = _APART[name][1]
        print(f"eval-anything: {name} is not installed: pip install {package}", file=sys.stderr)
        return 2
    from eval_anything.suggest import unknown

    print(f"eval-anything: {unknown('verb', name, (*_VERBS, *_installed()))}", file=sys.stderr)
    return 2


def _installed() -> dict[str, str]:
    """Verbs of installed packages, with what they do."""
    from importlib.metadata import entry_points

    return {
        point.name: _APART.get(point.name, (f"from {point.value}", ""))[0]
        for point in entry_points(group=_GROUP)
    }


def console() -> NoReturn:
    """The command `eval-anything`: `main`, and then an end without tearing the interpreter down, which
    takes a tenth of a second and frees nothing that the end of the process does not."""
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever read the output has gone
        code = code or _PIPE_CLOSED
    os._exit(code)


class Parser(argparse.ArgumentParser):
    """argparse, with the nearest right option named for a wrong one."""

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        found, rest = self.parse_known_args(arguments)
        self.refuse(rest)
        return found

    def refuse(self, rest: Sequence[str]) -> None:
        """End with an error unless `rest`, the words that nothing took, is empty."""
        if rest:
            from eval_anything.suggest import nearest

            known = [option for action in self._actions for option in action.option_strings]
            wrong = next((word for word in rest if word.startswith("-")), rest[0])
            hit = nearest(wrong.split("=")[0], [option for option in known if option.startswith("--")])
            hint = f"; did you mean {hit!r}?" if hit and wrong.startswith("-") else ""
            kind = "option" if wrong.startswith("-") else "argument"
            self.error(f"unknown {kind} {wrong!r}{hint}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as fault:
            from eval_anything.suggest import nearest

            hit = nearest(str(value), [str(choice) for choice in action.choices or ()])
            fault.message += f"; did you mean {hit!r}?" if hit else ""
            raise

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def _without_verb(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == "--version":
        from importlib.metadata import version

        print(f"eval-anything {version('eval-anything')}")
        return 0
    print(_help())
    return 0 if arguments else 2


def _help() -> str:
    known = {**_VERBS, **_installed()}
    width = max(map(len, known))
    verbs = "\n".join(f"  {name:{width}} {summary}" for name, summary in known.items())
    return (
        "usage: eval-anything VERB [options]\n\n"
        "Evaluation of any-to-any models: text, image, audio and video, in and out."
        f"\n\nverbs (eval-anything VERB --help says more):\n{verbs}\n\n{_EXAMPLES}"
    )
