"""The verdict on each task, and on the whole: pass, regression, or cannot judge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.gate.policy import Policy, Rules
from eval_anything.paired.compare import Terms, compare
from eval_anything.paired.power import holm
from eval_anything.paired.scores import RunScores
from eval_anything.paired.values import Comparison, MetricChange, TaskComparison
from eval_anything.results.values import TaskResult
from eval_anything.results.words import counted
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
    tolerated = {task.plan.name: policy.rules(task.plan.name).tolerated_drop for task in candidate.tasks}
    terms = Terms(
        resamples=policy.resamples,
        seed=policy.seed,
        alpha=policy.alpha,
        power=policy.power,
        tolerated=tolerated,
    )
    found = compare(baseline, candidate, terms)
    known = [task.task for task in found.tasks]
    for name in policy.tasks:
        if name not in known:
            raise UsageError(f"--policy: tasks.{name}: {unknown('task', name, known)}")
    changes = [_metric(task, policy.rules(task.task)) for task in found.tasks]
    adjusted = holm([change.p_worse for change in changes])
    least = policy.alpha / len(found.tasks)
    tasks = [
        _task(task, change, p, (baseline, candidate), policy, least)
        for task, change, p in zip(found.tasks, changes, adjusted, strict=True)
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


def _task(
    task: TaskComparison,
    change: MetricChange,
    p: float | None,
    runs: tuple[RunScores, RunScores],
    policy: Policy,
    least: float,
) -> TaskVerdict:
    """`least`: the alpha of this task, were all others unchanged."""
    rules = policy.rules(task.task)
    before, after = (_result(run, task.task) for run in runs)
    seen = change.detectable_drop
    unsure = [
        *_unlike(task, policy),
        *unsound(after, rules),
        *_alone(task, before, rules),
        *_too_little(task, change, seen, rules, least),
    ]
    if rules.floor is not None and _own(after, change) is None:
        unsure.append(f"{change.name} has no value to hold against the floor of {rules.floor:.4g}")
    worse = [
        *_dropped(change, p, policy.alpha),
        *_floor(after, change, rules),
        *_beyond(before, after, rules),
    ]
    outcome: Outcome = (
        "regression" if worse and not _unlike(task, policy) else "cannot judge" if unsure else "pass"
    )
    return TaskVerdict(
        task=task.task,
        outcome=outcome,
        reasons=worse + unsure + _partners(task),
        change=change,
        tolerated_drop=rules.tolerated_drop,
        p=p,
        detectable=seen,
        pairs=task.pairs,
    )


def _partners(task: TaskComparison) -> list[str]:
    kinds = (
        (task.only_before, "only in the baseline"),
        (task.only_after, "only in the candidate"),
        (task.unscored, "without a score in one of the two"),
    )
    return [f"{counted(n, 'answer')} {what}: in no difference" for n, what in kinds if n]


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


def _alone(task: TaskComparison, before: TaskResult, rules: Rules) -> list[str]:
    """Answers of the baseline that the candidate does not answer: it is judged on the others."""
    alone, of = task.only_before + task.unscored, before.counts.planned
    line = _above("answers of the baseline without a scored partner", alone, of, rules.max_missing_rate)
    return [line] if line else []


def _too_little(
    task: TaskComparison, change: MetricChange, seen: float | None, rules: Rules, least: float
) -> list[str]:
    if change.gain is None or change.error is None:
        return [f"no comparison of {change.name}: {change.reason or 'no pair of scores'}"]
    if 2.0**-task.clusters > least:
        return [f"{counted(task.clusters, 'independent sample')}: no drop could be significant"]
    if rules.detectable is not None and seen is not None and seen > rules.detectable:
        return [
            f"too few samples: with {task.pairs} pairs a drop of {seen:.3g} could be found,"
            f" not one of {rules.detectable:.3g}"
        ]
    return []


def _dropped(change: MetricChange, p: float | None, alpha: float) -> list[str]:
    if p is not None and p <= alpha and change.gain is not None and change.gain < 0:
        return [f"{change.name} dropped by {-change.gain:.3g} (p = {p:.2g})"]
    return []


def _own(after: TaskResult, change: MetricChange) -> float | None:
    """The candidate's own number, over all of its samples."""
    return next(metric.value for metric in after.metrics if metric.name == change.name)


def _floor(after: TaskResult, change: MetricChange, rules: Rules) -> list[str]:
    value = _own(after, change)
    if rules.floor is None or value is None:
        return []
    below = value < rules.floor if change.higher_is_better else value > rules.floor
    side = "below" if change.higher_is_better else "above"
    return [f"{change.name} is {value:.4g}, {side} the floor of {rules.floor:.4g}"] if below else []


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
    whole = not one.unpriced and not other.unpriced
    if whole and one.cost_usd is not None and other.cost_usd is not None:
        return one.cost_usd, other.cost_usd, "cost"
    return one.output_tokens, other.output_tokens, "output tokens"


def _notes(found: Comparison) -> list[str]:
    def listed(names: Iterable[str], what: str) -> list[str]:
        return [f"{name}: only in {what}" for name in names]

    notes = [*listed(found.only_before, "the baseline"), *listed(found.only_after, "the candidate")]
    if not found.complete:
        notes.append("a run is unfinished")
    return notes
