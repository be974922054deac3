"""The verdict on each task, and on the whole: pass, regression, or cannot judge."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist
from typing import Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.gate.policy import Policy, Rules
from eval_anything.paired.compare import Terms, compare
from eval_anything.paired.power import holm
from eval_anything.paired.scores import RunScores
from eval_anything.paired.values import Comparison, MetricChange, TaskComparison
from eval_anything.results.values import TaskResult
from eval_anything.suggest import unknown

Outcome = Literal["pass", "regression", "cannot judge"]
EXIT_CODES: dict[Outcome, int] = {"pass": 0, "regression": 1, "cannot judge": 3}


class TaskVerdict(msgspec.Struct, frozen=True, kw_only=True):
    task: str
    outcome: Outcome
    reasons: list[str]
    """Why it is not a pass; what is to be known, where it is."""
    change: MetricChange
    """Of the metric that the policy compares."""
    tolerated_drop: float
    p: float | None
    """One-sided, adjusted for all tasks (Holm): that the true drop is within what is tolerated."""
    detectable: float | None
    """The smallest true drop that would be found with the policy's power."""
    pairs: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    outcome: Outcome
    before: str
    after: str
    alpha: float
    tasks: list[TaskVerdict]
    notes: list[str]
    comparison: Comparison

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]


def judge(baseline: RunScores, candidate: RunScores, policy: Policy) -> Verdict:
    """A regression found is one whatever else cannot be judged. Raises UsageError for a policy that names a
    task or metric which the runs do not have, DataError where they have no task in common."""
    terms = Terms(resamples=policy.resamples, seed=policy.seed, alpha=policy.alpha, power=policy.power)
    found = compare(baseline, candidate, terms)
    known = [task.task for task in found.tasks]
    for name in policy.tasks:
        if name not in known:
            raise UsageError(f"--policy: tasks.{name}: {unknown('task', name, known)}")
    changes = [_metric(task, policy.rules(task.task)) for task in found.tasks]
    raw = [_p(change, policy.rules(t.task)) for change, t in zip(changes, found.tasks, strict=True)]
    tasks = [
        _task(task, change, p, (baseline, candidate), policy)
        for task, change, p in zip(found.tasks, changes, holm(raw), strict=True)
    ]
    notes = _notes(found)
    outcomes = {task.outcome for task in tasks} | ({"cannot judge"} if found.only_before else set())
    worst: Outcome = next(o for o in ("regression", "cannot judge", "pass") if o in {*outcomes, "pass"})
    return Verdict(
        outcome=worst,
        before=found.before,
        after=found.after,
        alpha=policy.alpha,
        tasks=tasks,
        notes=notes,
        comparison=found,
    )


def _metric(task: TaskComparison, rules: Rules) -> MetricChange:
    if not rules.metric:
        return task.headline
    names = [change.name for change in task.metrics]
    if rules.metric not in names:
        raise UsageError(f"--policy: tasks.{task.task}: {unknown('metric', rules.metric, names)}")
    return task.metrics[names.index(rules.metric)]


def _p(change: MetricChange, rules: Rules) -> float | None:
    """That the true drop is at most what is tolerated. Without tolerance by exchanged labels, which is exact;
    with it by the difference's standard error."""
    if not rules.tolerated_drop:
        return change.p_worse
    if change.gain is None or change.error is None:
        return None
    short = change.gain + rules.tolerated_drop
    if change.error == 0:
        return float(short >= 0)
    return NormalDist().cdf(short / change.error)


def _task(
    task: TaskComparison,
    change: MetricChange,
    p: float | None,
    runs: tuple[RunScores, RunScores],
    policy: Policy,
) -> TaskVerdict:
    rules = policy.rules(task.task)
    before, after = (_result(run, task.task) for run in runs)
    seen = change.detectable_drop
    unsure = [*_unlike(task, policy), *unsound(after, rules), *_too_little(task, change, seen, rules)]
    worse = [*_dropped(change, p, rules, policy.alpha), *_beyond(before, after, rules)]
    outcome: Outcome = (
        "regression" if worse and not _unlike(task, policy) else "cannot judge" if unsure else "pass"
    )
    return TaskVerdict(
        task=task.task,
        outcome=outcome,
        reasons=worse + unsure,
        change=change,
        tolerated_drop=rules.tolerated_drop,
        p=p,
        detectable=seen,
        pairs=task.pairs,
    )


def _result(run: RunScores, task: str) -> TaskResult:
    return next(result for result in run.results.tasks if result.name == task)


def _unlike(task: TaskComparison, policy: Policy) -> list[str]:
    lines = [line for line in task.settings if not line.startswith(policy.ignore_settings or ("\0",))]
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    return [f"not measured alike: {lines[0]}{more}"] if lines else []


def unsound(result: TaskResult, rules: Rules) -> list[str]:
    """What makes the candidate's own numbers doubtful."""
    counts = result.counts
    errors = sum(counts.errors.values())
    found = [
        _above("answers that failed", errors, counts.responses, rules.max_error_rate),
        _above(
            "answers without a score", counts.planned - counts.scored, counts.planned, rules.max_missing_rate
        ),
        _above(
            "verdicts not given", counts.judge_failures, counts.judge_attempts, rules.max_judge_error_rate
        ),
    ]
    if not result.model_usage.requests and not rules.allow_no_calls:
        found.append("the model was never asked: every answer came from a cache (allow_no_calls)")
    if counts.finished < counts.planned:
        found.append(f"unfinished: {counts.finished} of {counts.planned} answers")
    return [line for line in found if line]


def _above(what: str, n: int, of: int, most: float) -> str:
    if of and n / of > most:
        return f"{what}: {n} of {of}, at most {most:.1%} are allowed"
    return ""


def _too_little(task: TaskComparison, change: MetricChange, seen: float | None, rules: Rules) -> list[str]:
    if change.gain is None or seen is None:
        return [f"no comparison of {change.name}: {change.reason or 'no pair of scores'}"]
    if rules.detectable is not None and seen > rules.detectable:
        return [
            f"too few samples: with {task.pairs} pairs a drop of {seen:.3g} could be found,"
            f" not one of {rules.detectable:.3g}"
        ]
    return []


def _dropped(change: MetricChange, p: float | None, rules: Rules, alpha: float) -> list[str]:
    found = []
    if p is not None and p <= alpha and change.gain is not None and change.gain < 0:
        found.append(f"{change.name} dropped by {-change.gain:.3g} (p = {p:.2g})")
    if rules.floor is not None and change.after is not None:
        below = change.after < rules.floor if change.higher_is_better else change.after > rules.floor
        if below:
            side = "below" if change.higher_is_better else "above"
            found.append(f"{change.name} is {change.after:.3g}, {side} the floor of {rules.floor:.3g}")
    return found


def _beyond(before: TaskResult, after: TaskResult, rules: Rules) -> list[str]:
    found = []
    counts = after.counts
    if rules.max_truncation_rate is not None:
        cut = _above(
            "answers cut at the limit", counts.truncated, counts.responses, rules.max_truncation_rate
        )
        found += [cut] if cut else []
    if rules.max_cost_growth is not None:
        old, new, what = _costs(before, after)
        if old and new / old - 1 > rules.max_cost_growth:
            grown = f"{what} grew by {new / old - 1:.0%}, at most {rules.max_cost_growth:.0%} is allowed"
            found.append(grown)
    return found


def _costs(before: TaskResult, after: TaskResult) -> tuple[float, float, str]:
    one, other = before.model_usage, after.model_usage
    if one.cost_usd is not None and other.cost_usd is not None:
        return one.cost_usd, other.cost_usd, "cost"
    return one.output_tokens, other.output_tokens, "output tokens"


def _notes(found: Comparison) -> list[str]:
    def listed(names: Iterable[str], what: str) -> list[str]:
        return [f"{name}: only in {what}" for name in names]

    notes = [*listed(found.only_before, "the baseline"), *listed(found.only_after, "the candidate")]
    if not found.complete:
        notes.append("a run is unfinished")
    return notes
