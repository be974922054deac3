"""`watch`: score each new checkpoint of a training run."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from eval_anything.cli.run import add_settings, config_of

if TYPE_CHECKING:
    from eval_anything.watch.watch import Gate

SUMMARY = (
    "Watch a training run's directory: each new whole checkpoint (checkpoint-N, step-N) is scored once, and a"
    " line with its metrics added to a history; with a gate, each is held against a baseline."
)
EXAMPLES = """  eval-anything watch outputs/my-training --tasks amu --judge openai/gpt-4o
  eval-anything watch outputs/my-training --tasks amu --data synthetic --out evals --interval 60
  eval-anything watch outputs/my-training --tasks amu --gate gate.toml --baseline baseline.json --once
  eval-anything watch outputs/my-training --tasks amu --model-template 'vllm/{path}' --json --once

Runs and history.jsonl are in --out (DIR/evals by default). A watch that was killed goes on with the same
command; no checkpoint is scored twice. exit codes with --once: those of the last step's gate (0 pass,
1 regression, 3 cannot judge); 0 without a gate; 3 where there is no checkpoint or one could not be scored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", metavar="DIR", help="where the training run writes its checkpoints")
    add(
        "--model-template",
        dest="model",
        default="hf/{path}",
        metavar="SPEC",
        help="model of a checkpoint; {path} is its folder (default: %(default)s)",
    )
    add("--out", dest="history", metavar="DIR", help="for runs and history.jsonl (default: DIR/evals)")
    add("--baseline", metavar="RUN|FILE", help="what the gate holds each checkpoint against")
    add("--gate", metavar="POLICY.toml", help="the gate's policy (see docs/gate.md)")
    add("--once", action="store_true", help="score what is there, and end")
    add("--interval", type=float, default=30.0, metavar="S", help="seconds between looks (default 30)")
    add(
        "--settle",
        type=float,
        default=5.0,
        metavar="S",
        help="seconds in which nothing is written into a whole checkpoint before it is scored (default 5)",
    )
    add("--json", action="store_true", help="with --once: print the history as JSON")
    add_settings(parser)
    parser.set_defaults(out=None)


def execute(args: argparse.Namespace) -> int:
    from pathlib import Path

    from eval_anything.errors import UsageError
    from eval_anything.watch.history import History
    from eval_anything.watch.watch import Watch

    for name in ("interval", "settle"):
        if not 0 <= getattr(args, name) <= 86_400:
            raise UsageError(f"--{name} is from 0 to 86400 seconds, not {getattr(args, name):g}")
    if args.json and not args.once:
        raise UsageError("--json goes with --once: a watch without it does not end")
    folder = Path(args.folder).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    config, gate = config_of(args), _gate(args)
    with History(Path(args.history).expanduser() if args.history else folder / "evals") as history:
        watch = Watch(folder, config, history, gate, args.settle, None if args.quiet else sys.stderr)
        if not args.once:
            watch.forever(args.interval)
        code = watch.once()
        if args.json:
            import msgspec

            from eval_anything.results import escape

            text = msgspec.json.format(msgspec.json.encode(history.entries), indent=2).decode()
            print(escape.json_text(text))
    return code


def _gate(args: argparse.Namespace) -> Gate | None:
    from pathlib import Path

    from eval_anything.errors import UsageError
    from eval_anything.gate.policy import Policy, read_policy
    from eval_anything.paired.scores import read
    from eval_anything.watch.watch import Gate

    if not args.baseline:
        if args.gate:
            raise UsageError("--gate needs a --baseline to hold checkpoints against")
        return None
    policy = read_policy(Path(args.gate).expanduser()) if args.gate else Policy()
    return Gate(read(Path(args.baseline).expanduser()), args.baseline, policy)
