"""`judge-agreement`: how far a judge can be relied on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from eval_anything.judged.labels import Labels

SUMMARY = (
    "Measure judges against labels of people or a known truth, against themselves, and against each other:"
    " agreement, correlation, consistency, calibration, biases, Krippendorff's alpha, all with intervals."
)
EXAMPLES = """  eval-anything judge-agreement runs/NAME --labels labels.jsonl
  eval-anything judge-agreement runs/by-a runs/by-b --labels labels.jsonl --format md --out judges.md
  eval-anything judge-agreement runs/on-synthetic-data --labels truth
  eval-anything judge-agreement runs/by-a --labels runs/by-b
  eval-anything judge-agreement runs/with-a-panel --json

Labels are JSON lines: {"id": SAMPLE, "label": a number, or "A" (the model's answer is better than the
reference), "B" or "tie"}, with "task" where several tasks have such a sample; a sample may have several.
For several judges on the same answers, replay a run: run --model replay/RUN/samples_TASK.jsonl."""

_MOST_BINS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="directory of a run; of several, repeats or other judges")
    add(
        "--labels",
        metavar="FILE|RUN|truth",
        help="labels of people; another run's scores; or what a synthetic twin knows of its own answers",
    )
    add("--tasks", "-t", metavar="A,B", default="", help="only these tasks")
    add("--bins", type=int, default=10, metavar="N", help="of the calibration (default 10)")
    add("--resamples", type=int, default=1000, metavar="N", help="of the intervals (default 1000)")
    add("--seed", type=int, default=0, metavar="S", help="of the resampling (default 0)")
    add("--format", choices=("table", "md", "json"), default="table", help="default: table")
    add("--json", action="store_const", dest="format", const="json", help="short for --format json")
    add("--out", metavar="FILE", help="write there instead of printing")


def execute(args: argparse.Namespace) -> int:
    import sys
    from pathlib import Path

    from eval_anything.errors import UsageError
    from eval_anything.judged.measure import Terms, measure
    from eval_anything.judged.output import render
    from eval_anything.judged.statistics import Drawing
    from eval_anything.judged.verdicts import read_runs
    from eval_anything.results.results import write_atomically

    for name, least in (("resamples", 100), ("bins", 1), ("seed", 0)):
        if getattr(args, name) < least:
            raise UsageError(f"--{name} must be at least {least}, not {getattr(args, name)}")
    if args.bins > _MOST_BINS:
        raise UsageError(f"--bins must be at most {_MOST_BINS}, not {args.bins}")
    runs = [Path(run).expanduser() for run in args.runs]
    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice: its verdicts would agree with themselves")
    tasks = [name.strip() for name in args.tasks.split(",") if name.strip()]
    found = read_runs(runs, tasks)
    if not found:
        raise UsageError(f"no verdict of a judge{' on ' + ', '.join(tasks) if tasks else ''} in these runs")
    report = measure(
        args.runs,
        found,
        _labels(args.labels, runs, tasks),
        Terms(Drawing(args.resamples, args.seed), args.bins),
    )
    text = render(report, args.format)
    if args.out:
        print(f"wrote {write_atomically(Path(args.out).expanduser(), text.encode())}", file=sys.stderr)
    else:
        print(text, end="")
    return 0


def _labels(source: str | None, runs: list[Path], tasks: list[str]) -> Labels | None:
    from pathlib import Path

    from eval_anything.judged.labels import of_run, read_labels
    from eval_anything.judged.truth import truth
    from eval_anything.judged.verdicts import read_runs

    if source is None:
        return None
    if source == "truth":
        return truth(runs, tasks)
    path = Path(source).expanduser()
    return of_run(read_runs([path], tasks), source) if path.is_dir() else read_labels(path)
