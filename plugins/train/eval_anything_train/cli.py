"""`train`: train models on preferences and language feedback. Nothing here imports torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval_anything.cli.main import Parser
from eval_anything_train import config, flags, presets
from eval_anything_train.examples import EXAMPLES as OF_METHODS
from eval_anything_train.fields import fields
from eval_anything_train.settings import Common, Settings, Workplace

SUMMARY = "Train all-modality models on preferences and language feedback; `run` scores OUT/final."
EXAMPLES = """  eval-anything train dpo --model llava-hf/llava-1.5-7b-hf --data align-anything:ti2t \\
      --preset ti2t --out runs/dpo
  eval-anything run --model hf/runs/dpo/final --tasks llava_bench_coco
  eval-anything train dpo --help

An unfinished run goes on where it stopped: the same command again.

what --data may be:
  align-anything:ti2t              a subtask of PKU-Alignment/align-anything, from the hub
  OWNER/NAME[@REVISION][:SUBTASK]  another repository of the hub with files in such columns
  FILE or FOLDER[:SUBTASK]         .jsonl, .json or .parquet in such columns, or in the project's schema
  safesora:FOLDER, intermt:FOLDER  their own files; :DIMENSION for another preference than the overall one
  synthetic:ti2t[,n=N,seed=S]      the synthetic twin of a subtask: real files, made here
Pairs serve every method: their chosen answers sft, their feedback feedback, their prompts ppo."""
_METHODS = {
    "sft": "imitate answers (supervised fine-tuning); of pairs, the chosen ones",
    "feedback": "a feedback model, which writes critique and refinement of an answer; for llf",
    "reward": "a reward model, which scores answers; for ppo and llf",
    "dpo": "direct preference optimisation on pairs",
    "ppo": "reinforcement learning: the model's own answers, scored by a reward model",
    "llf": "learning from language feedback: feedback model, better answers, pairs, training on them",
    "kto": "answers that are good or bad; of pairs, both as single ones",
    "simpo": "pairs without a reference model, by average log-probabilities",
    "orpo": "imitation and pairs in one, without a reference model",
    "scenes": "a small omni model from scratch on synthetic scenes, and its examination",
    "synergy": "a small synergy judge from scratch on synthetic preferences, and its examination",
}
_WHAT = ("model", "data", "out", "limit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    methods = parser.add_subparsers(
        title="methods",
        description="eval-anything train METHOD --help says which settings it has",
        dest="method",
        metavar="METHOD",
        required=True,
        parser_class=MethodParser,
    )
    for name in config.METHODS:
        methods.add_parser(name, help=_METHODS[name], method=name)


def _given(method: str) -> str:
    whole = {"model": "--model PATH_OR_ID", "data": "--data DATA", "out": "--out DIR"}
    return " ".join(text for name, text in whole.items() if name in fields(config.settings_class(method)))


class MethodParser(Parser):
    """The options of one method, made when it is that method's turn."""

    def __init__(self, *, method: str, **given: Any) -> None:
        super().__init__(
            usage=f"eval-anything train {method} {_given(method)} [settings]",
            description=f"{_METHODS[method][0].upper()}{_METHODS[method][1:]}.",
            epilog=f"examples:\n{OF_METHODS[method]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **given,
        )
        self.method = method
        self._filled = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuses what it does not know, with the nearest of its own options."""
        if not self._filled:
            self._fill()
        found, rest = super().parse_known_args(args, namespace)
        self.refuse(rest)
        return found, []

    def _fill(self) -> None:
        self._filled = True
        own = config.settings_class(self.method)
        known, subtasks = fields(own), presets.subtasks(self.method)
        given = [name for name in _WHAT if name in known]
        # What is learnt, and how, before where it happens.
        shared = sorted(fields(Settings), key=lambda name: name in fields(Common))
        what = flags.add_flags(self, "what is trained, and on what", own, given)
        if subtasks:
            what.add_argument(
                "--preset",
                metavar="SUBTASK",
                help=f"settings of the paper's tables: {', '.join(subtasks)}; those given here win",
            )
        what.add_argument("--config", metavar="FILE.yaml", help="settings from a file; those given here win")
        flags.add_flags(self, "settings of this method", own, [n for n in known if n not in shared])
        rest = [n for n in shared if n in known and n not in _WHAT]
        flags.add_flags(self, "settings of all methods", own, rest)
        shown = self.add_argument_group("what is shown")
        shown.add_argument("--json", action="store_true", help="print the run's manifest as JSON at the end")
        shown.add_argument("--quiet", "-q", action="store_true", help="no progress")


def execute(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    from eval_anything_train.training import report, train

    try:
        outcome = train(args.method, settings, None if args.quiet else sys.stderr)
    except KeyboardInterrupt:
        print("eval-anything: interrupted; to go on, run the same again", file=sys.stderr)
        return 130
    report(outcome, as_json=args.json)
    return 0


def settings_of(args: argparse.Namespace) -> Workplace:
    """The settings of a parsed command line. Raises UsageError."""
    own = config.settings_class(args.method)
    return config.assemble(own, _layers(args, own), f"train {args.method}")


def _layers(args: argparse.Namespace, own: type[Workplace]) -> list[config.Layer]:
    """From the lowest to the highest: preset, file, flags."""
    written: dict[str, Any] = {}
    if args.config:
        from eval_anything.run.config import read_mapping

        written = read_mapping(Path(args.config))
    named = written.pop("preset", None)
    asked = getattr(args, "preset", None)
    subtask = named if asked is None else asked
    preset = {} if subtask in (None, "") else presets.preset(args.method, subtask)
    return [
        config.Layer(preset, f"preset {subtask}"),
        config.Layer(written, f"--config {args.config}"),
        config.Layer(flags.given(args, own), ""),
    ]
