"""What a run came to, as values: counts, metrics of each task, the whole."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from eval_anything.stats.aggregate import MissingPolicy
from eval_anything.stats.metrics import MetricResult
from eval_anything.values import Purpose, Usage


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the responses planned; the latest row of each counts."""

    planned: int
    finished: int
    """Responses that came to an end: scored, or known to have no score."""
    responses: int
    """Responses in the journal, judged or not."""
    ok: int
    refused: int
    truncated: int
    skipped: int
    errors: dict[str, int]
    """By the kind of fault."""
    empty: int
    """Among ok and truncated: answers without any media or text."""
    scored: int
    missing: dict[str, int]
    """Finished responses without a score, by score state."""
    judge_attempts: int
    """Verdicts asked of the judge: scored + unparsed + judge_error."""
    judge_failures: int
    """unparsed + judge_error."""
    judge_error_rate: float | None
    """Failures by attempts; None where the judge was never asked."""
    tool_calls: int = 0
    """Calls of tools by agents."""
    tool_errors: int = 0
    """Among them: calls that gave nothing because the tool failed."""
    wrong_calls: int = 0
    """Among them: calls that reached no tool (no such tool, wrong arguments, one too many): the
    model's own failures."""


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    profile: str = ""
    """Of the protocol, where the task has several: "corrected"."""
    fingerprint: str
    data: str
    """"hub", "path" or "synthetic"."""
    comparable: bool
    """Whether the numbers may stand beside published ones: real data, and the protocol's judge."""
    judge: str
    protocol_judge: bool
    missing_policy: MissingPolicy
    metrics: list[MetricResult]
    """The headline first, then what it is made of, then what stands beside it, as they are shown."""
    counts: Counts
    model_usage: Usage
    judge_usage: Usage
    tool_usage: Usage = Usage()
    """What the agents' tools consumed; `model_usage` is the model's own."""
    seconds: float
    """Model time: seconds of all requests added up, answers from the cache left out."""
    masked: dict[str, int]
    """Samples from which a modality was dropped, by modality."""
    model_notes: dict[str, int]
    """What the model's provider noted on responses, with how many carry it; the most frequent."""
    notes: list[str]
    figures: dict[str, float] = {}
    """Means over the scored responses of what their scores state beside components that are metrics; names
    of the form "family/member" belong together."""

    @property
    def headline(self) -> MetricResult:
        return self.metrics[0]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of a run has cost, or all of it; answers from the response cache cost nothing."""

    of: Purpose | Literal["all"]
    usd: float | None
    """US dollars; None where not all of it is known, or nobody bills."""
    at_least_usd: float
    """What is known of it."""
    reason: str = ""
    """Why there is no number."""
    billed: bool = True
    """Whether anybody bills: nobody does for a local model."""
    from_cache: int = 0
    """Answers that came from the response cache."""


class CombinedResult(msgspec.Struct, frozen=True, kw_only=True):
    """One number that a group makes of the metrics of several tasks."""

    group: str
    name: str
    value: float | None
    low: float | None = None
    """Lower end of the 95 % interval, from the bootstrap draws of all its parts."""
    high: float | None = None
    reason: str = ""
    """Why there is no value, or no interval."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    model: str
    created: str
    """When the run was made (ISO 8601, UTC)."""
    tasks: list[TaskResult]
    combined: list[CombinedResult] = []
    """Numbers of the groups that were asked for, in the order of the groups and as each shows them."""
    costs: list[Cost] = []
    """Of the model, the judges, the agents' tools, as far as there are any; then of all together."""
    changes: list[str] = []
    """Models that answered under more than one name, with how many answers each name gave."""
    complete: bool
    """Whether every response planned has come to an end."""
    notes: list[str]
    journal_bytes: int
    """How much of the journal went in: more there now means that these results are out of date."""

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each metric, then for each combined number: `pandas.DataFrame(results.rows())`.

        What only a task's metric has (n, judge, fingerprint) is None where a number is combined.
        """
        rows = [_row(self, task, metric) for task in self.tasks for metric in task.metrics]
        blank = dict.fromkeys(rows[0] if rows else ())
        return rows + [{**blank, **_combined_row(self, combined)} for combined in self.combined]

    def __str__(self) -> str:
        from eval_anything.results.table import render

        return render(self, "table").rstrip()

    def _repr_html_(self) -> str:
        from eval_anything.results.table import render

        return render(self, "html")


def _row(results: Results, task: TaskResult, metric: MetricResult) -> dict[str, Any]:
    states = ("unparsed", "judge_error", "refused", "no_response")
    return {
        "model": results.model,
        "task": task.name,
        "task_version": task.version,
        "profile": task.profile,
        "metric": metric.name,
        "headline": metric.headline,
        "depth": metric.depth,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "n": metric.n,
        "n_scored": metric.n_scored,
        "n_missing": metric.missing,
        **{f"missing_{state}": metric.n_missing.get(state, 0) for state in states},
        "missing_unfinished": metric.missing - sum(metric.n_missing.values()),
        "missing_policy": task.missing_policy,
        "n_imputed": metric.n_imputed,
        "n_stand_in": metric.n_stand_in,
        "n_truncated": metric.n_truncated,
        "judge": task.judge,
        "judge_error_rate": metric.judge_error_rate,
        "protocol_judge": task.protocol_judge,
        "data": task.data,
        "comparable": task.comparable,
        "complete": results.complete,
        "scale_low": metric.scale_low,
        "scale_high": metric.scale_high,
        "higher_is_better": metric.higher_is_better,
        "reason": metric.reason,
        "interval_reason": metric.interval_reason,
        "fingerprint": task.fingerprint,
        "created": results.created,
    }


def _combined_row(results: Results, combined: CombinedResult) -> dict[str, Any]:
    return {
        "model": results.model,
        "task": combined.group,
        "metric": combined.name,
        "headline": False,
        "value": combined.value,
        "low": combined.low,
        "high": combined.high,
        "comparable": all(task.comparable for task in results.tasks),
        "complete": results.complete,
        "reason": combined.reason if combined.value is None else "",
        "interval_reason": "" if combined.value is None else combined.reason,
        "created": results.created,
    }
