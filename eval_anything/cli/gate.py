"""`gate`: is a candidate worse than a baseline?"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval_anything.gate.verdict import Verdict

SUMMARY = "Say by exit code whether a candidate run is worse than a baseline, as far as this can be told."
EXAMPLES = """  eval-anything gate --baseline runs/main --candidate runs/pull-request
  eval-anything gate --baseline baseline.json --candidate runs/step-500 --policy gate.toml \\
      --markdown summary.md --junit gate.xml
  eval-anything gate --candidate runs/main --save-baseline baseline.json

exit codes: 0 pass, 1 regression, 2 wrong usage, 3 cannot judge (too many errors, not measured alike,
too few samples, nothing asked). A regression that is found counts more than what cannot be judged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--baseline", metavar="RUN|FILE", help="a run's directory, or a file made with --save-baseline")
    add("--candidate", metavar="RUN|FILE", required=True, help="the run that is judged")
    add("--policy", metavar="FILE.toml", help="tolerated drops, floors, allowed rates (see docs/gate.md)")
    add("--save-baseline", metavar="FILE", help="write the candidate's scores as a small file, if it passes")
    add("--markdown", metavar="FILE", help="append a summary, as CI services show it")
    add("--junit", metavar="FILE", help="write JUnit XML")
    add("--json", action="store_true", help="print the verdict as JSON")


def execute(args: argparse.Namespace) -> int:
    from pathlib import Path

    from eval_anything.errors import UsageError
    from eval_anything.gate import output
    from eval_anything.gate.policy import Policy, read_policy
    from eval_anything.gate.verdict import EXIT_CODES, judge, unsound
    from eval_anything.paired.scores import read, write_baseline

    if not args.baseline and not args.save_baseline:
        raise UsageError("--baseline is needed (or --save-baseline, to make one)")
    for path in (args.junit, args.markdown, args.save_baseline):
        if path and not Path(path).expanduser().resolve().parent.is_dir():
            raise UsageError(f"{path}: its folder is not there")
    policy = read_policy(Path(args.policy).expanduser()) if args.policy else Policy()
    candidate = read(Path(args.candidate).expanduser())
    code = 0
    if args.baseline:
        verdict = judge(read(Path(args.baseline).expanduser()), candidate, policy)
        code = verdict.exit_code
        print(output.json(verdict) if args.json else output.text(verdict), end="")
        if not _write_files(verdict, args) and code == 0:
            code = EXIT_CODES["cannot judge"]  # a regression that was found stays one
    elif reasons := [
        f"{task.name}: {why}"
        for task in candidate.results.tasks
        for why in unsound(task, policy.rules(task.name))
    ]:
        print(f"eval-anything: no baseline: {'; '.join(reasons)}", file=sys.stderr)
        return EXIT_CODES["cannot judge"]
    if args.save_baseline and code == 0:
        write_baseline(candidate, Path(args.save_baseline).expanduser())
    return code


def _write_files(verdict: Verdict, args: argparse.Namespace) -> bool:
    """JUnit and Markdown, where they were asked for; whether they could be written."""
    from pathlib import Path

    from eval_anything.gate import output

    try:
        if args.junit:
            Path(args.junit).expanduser().write_text(output.junit(verdict), encoding="utf-8")
        if args.markdown:
            with Path(args.markdown).expanduser().open("a", encoding="utf-8") as file:
                file.write(output.markdown(verdict))
    except OSError as fault:
        print(f"eval-anything: {fault.filename}: {fault.strerror}", file=sys.stderr)
        return False
    return True
