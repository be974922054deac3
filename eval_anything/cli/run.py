"""`run`: score a model on tasks."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from eval_anything.cli.pairs import pairs
from eval_anything.errors import UsageError

SUMMARY = "Score a model on tasks: answers, judgements and their journal, then a table with intervals."
EXAMPLES = """  eval-anything run --model fake/echo --tasks amu --data synthetic --limit 20
  eval-anything run --model openai/gpt-4o --tasks amu --judge openai/gpt-4o-2024-08-06
  eval-anything run --model openai/my-model --base-url http://localhost:8000/v1 --tasks amu \\
      --judge openai/judge -J base_url=http://localhost:8001/v1 --out runs/my-model
  eval-anything run --model vllm/Qwen/Qwen2-VL-7B-Instruct --tasks amu -M tensor_parallel=2 --keep-server
  eval-anything run --model hf/path/to/checkpoint --tasks amu -M batch_size=16 --mask audio
  eval-anything run --model replay/responses.jsonl --tasks amu --data path/to/EvalAnything-AMU
  eval-anything run --model openai/gpt-4.1 --tasks amg_selection --agent native \\
      -A image=diffusers/black-forest-labs/FLUX.1-schnell -A audio=diffusers/cvssp/audioldm2-large
  eval-anything run --config run.yaml --limit 50
  eval-anything run --model openai/gpt-4o-mini --tasks amu --judge openai/gpt-4o --dry-run
  eval-anything run --model openai/gpt-4o-mini --tasks amu --judge openai/gpt-4o --max-cost 5 -M rpm=500
  eval-anything run --from runs/first/manifest.json --out runs/again

An unfinished run goes on where it stopped: the same command with --out DIR. Keys are read from the
environment (OPENAI_API_KEY, or the variable that -M api_key_env=NAME names)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", "-m", metavar="SPEC", help="provider/name; see `eval-anything ls models`")
    add("--out", metavar="DIR", help="the run's directory; an unfinished run is resumed")
    add("--json", action="store_true", help="print the results as JSON")
    add(
        "--from", dest="origin", metavar="MANIFEST", help="repeat a run: RUN/manifest.json; options given win"
    )
    add("--dry-run", action="store_true", help="send nothing; print requests, media and what they may cost")
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """All that is not the model and where its results go: how runs are made."""
    add = parser.add_argument
    add("--config", metavar="FILE.yaml", help="options from a YAML file; those given here win")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--tasks", "-t", metavar="A,B", help="task names; see `eval-anything ls tasks`")
    what.add_argument(
        "--data",
        metavar="WHERE",
        help="hub (default), synthetic[:n=N,seed=S], or a folder in the task's layout",
    )
    what.add_argument("--limit", type=int, metavar="N", help="only the first N samples of each task")
    what.add_argument(
        "--mask", metavar="A,B", help="drop these modalities from every sample: image, audio, video"
    )
    what.add_argument("--repeats", type=int, metavar="K", help="ask each sample K times")
    what.add_argument("--seed", type=int, metavar="S", help="seed of sampling and of the intervals")
    judged = parser.add_argument_group("how it is judged")
    judged.add_argument(
        "--judge",
        action="append",
        metavar="[TASK=]SPEC",
        help="a model (provider/name) or `reference`; may repeat",
    )
    judged.add_argument(
        "--profile",
        action="append",
        metavar="[TASK=]NAME",
        help="corrected (default), original, align-anything; see `eval-anything show TASK`",
    )
    judged.add_argument("--prompts", metavar="DIR", help="folder whose files replace the task's prompts")
    judged.add_argument(
        "--missing",
        choices=("exclude", "floor", "zero"),
        help="what an answer without a usable verdict counts as (default: left out, and counted)",
    )
    made = parser.add_argument_group("how media are made")
    made.add_argument(
        "--agent", metavar="NAME", help="native, text-protocol, none (`eval-anything ls agents`)"
    )
    made.add_argument(
        "-A",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the agent, or a tool of it: image=SPEC, image.KEY=VALUE; audio, video likewise",
    )
    options = parser.add_argument_group("options of the parts")
    options.add_argument("--base-url", metavar="URL", help="the model's server; short for -M base_url=URL")
    options.add_argument(
        "--keep-server",
        action="store_true",
        help="leave the model's vLLM server running for the next run; short for -M keep_server=true",
    )
    options.add_argument("-M", action="append", default=[], metavar="KEY=VALUE", help="option of the model")
    options.add_argument(
        "-J", action="append", default=[], metavar="[TASK:]KEY=VALUE", help="option of the judge"
    )
    options.add_argument(
        "-T", action="append", default=[], metavar="[TASK:]KEY=VALUE", help="option of the task"
    )
    options.add_argument(
        "--include",
        action="append",
        metavar="PATH",
        help="folder or file with tasks, models, judges of your own",
    )
    running = parser.add_argument_group("how it runs")
    running.add_argument(
        "--concurrency", type=int, metavar="N", help="requests in flight at most (default 32)"
    )
    running.add_argument(
        "--error-budget", type=float, metavar="SHARE", help="largest share of failed samples (default 0.1)"
    )
    running.add_argument("--max-cost", type=float, metavar="USD", help="end the run before it costs more")
    running.add_argument(
        "--max-total-tokens", type=int, metavar="N", help="end the run before it takes more tokens"
    )
    running.add_argument("--prices", metavar="FILE", help="what models cost: YAML or TOML (docs/costs.md)")
    running.add_argument(
        "--cache", metavar="DIR", help="reuse answers from, and add them to, a response cache"
    )
    running.add_argument("--quiet", "-q", action="store_true", help="no progress")


def execute(args: argparse.Namespace) -> int:
    config = config_of(args)
    if args.dry_run:
        return _dry_run(config, args.json)
    from eval_anything.results.table import print_table, render
    from eval_anything.run.run import run

    try:
        outcome = run(config, None if args.quiet else sys.stderr)
    except KeyboardInterrupt:
        hint = f" --out {config.out}" if config.out else " --out with the directory shown above"
        print(f"eval-anything: interrupted; to go on, run the same with{hint}", file=sys.stderr)
        return 130
    if args.json:
        print(render(outcome.results, "json"), end="")
    else:
        print_table(outcome.results)
        print(f"run directory: {outcome.folder}")
    if outcome.stopped:
        print(
            f"eval-anything: ended early: {outcome.stopped}\n"
            f"what was finished is kept; to go on, run the same with --out {outcome.folder}",
            file=sys.stderr,
        )
    elif outcome.exit_code:
        print("eval-anything: nothing could be scored", file=sys.stderr)
    return outcome.exit_code


def _dry_run(config: Any, as_json: bool) -> int:
    from eval_anything.results import escape
    from eval_anything.run.estimate import table
    from eval_anything.run.rehearsal import rehearse

    estimate = rehearse(config)
    if as_json:
        import msgspec

        print(escape.json_text(msgspec.json.format(msgspec.json.encode(estimate), indent=2).decode()))
    else:
        for line in table(estimate).splitlines():
            print(escape.clean(line))
    return 0


def config_of(args: argparse.Namespace) -> Any:
    """The RunConfig of parsed arguments: those of `add_settings`, `model` and `out`."""
    from pathlib import Path

    from eval_anything.run.config import make_config, read_config

    origin = getattr(args, "origin", None)
    if origin and args.config:
        raise UsageError("--from and --config both say what to run: give one of them")
    values: dict[str, Any] = read_config(Path(args.config)) if args.config else {}
    if origin:
        from eval_anything.run.repeat import options_of

        values = options_of(Path(origin).expanduser())
    plain = (
        "model",
        "agent",
        "tasks",
        "data",
        "limit",
        "mask",
        "repeats",
        "seed",
        "prompts",
        "missing",
        "include",
    )
    limits = ("error_budget", "max_cost", "max_total_tokens")
    for name in (*plain, "out", "concurrency", *limits, "prices", "cache"):
        if (given := getattr(args, name)) is not None:
            values[name] = given
    flags = {"model_options": "-M", "judge_options": "-J", "task_options": "-T", "agent_options": "-A"}
    for name, flag in flags.items():
        options = values.get(name) or {}
        if not isinstance(options, dict):
            raise UsageError(f"--config {args.config}: {name}: expected a mapping of options")
        values[name] = {**options, **pairs(flag, getattr(args, flag[1]))}
    if args.base_url:
        values["model_options"]["base_url"] = args.base_url
    if args.keep_server:
        values["model_options"]["keep_server"] = True
    if args.judge:
        values["judge"] = _judges(args.judge)
    if args.profile:
        values["profile"] = _profiles(args.profile)
    if origin:
        from eval_anything.run.repeat import check_secrets

        check_secrets(values, Path(origin))
    where = f"--config {args.config}" if args.config else f"--from {origin}" if origin else "run"
    return make_config(values, where)


def _judges(given: list[str]) -> dict[str, str]:
    """`SPEC` for all tasks, `TASK=SPEC` for one."""
    judges: dict[str, str] = {}
    for text in given:
        task, equals, spec = text.partition("=")
        judges["*" if not equals or "/" in task else task] = spec if equals and "/" not in task else text
    return judges


def _profiles(given: list[str]) -> dict[str, str]:
    """`NAME` for all tasks, `TASK=NAME` for one."""
    split = [text.rpartition("=") for text in given]
    return {task or "*": name for task, _, name in split}
