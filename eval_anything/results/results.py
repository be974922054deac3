"""The results of a run: derived from its journal and manifest alone, so they can be rebuilt at any time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from eval_anything.errors import StorageError
from eval_anything.results.combine import combine
from eval_anything.results.corpus import with_corpus
from eval_anything.results.costs import changes, consumed, costs, repeated
from eval_anything.results.scan import Scan, TaskScan, scan
from eval_anything.results.values import Counts, Results, TaskResult
from eval_anything.results.words import counted
from eval_anything.stats.cell import Verdict
from eval_anything.stats.figures import figures
from eval_anything.stats.metrics import Measurement, judge_error_rate, measure
from eval_anything.stats.outline import outline
from eval_anything.stores.manifest import read_manifest

MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
RESULTS = "results.json"
# A model's notes may differ for every response; results stay small all the same.
_NOTES_SHOWN = 20


def build(run_dir: Path, found: Scan | None = None) -> Results:
    """Results of the run in `run_dir`, from its manifest and journal (or what a scan of it found).

    Of several rows for one task, id and repeat the last counts. Raises DataError where there is no run or
    where a file of it is damaged.
    """
    manifest = read_manifest(run_dir / MANIFEST)
    found = found or scan(run_dir / JOURNAL, manifest.tasks)
    include = tuple(manifest.config.get("include", ()))
    measured = {
        name: with_corpus(_measured(task, manifest.seed), task, run_dir / JOURNAL, manifest.seed, include)
        for name, task in found.tasks.items()
    }
    tasks = [_task_result(task, measured[name]) for name, task in found.tasks.items()]
    combined, notes = combine(manifest.groups, measured, manifest.seed)
    used = consumed(tasks)
    return Results(
        model=manifest.model,
        created=manifest.created,
        tasks=tasks,
        combined=combined,
        costs=costs(used, manifest.billing),
        changes=changes(used),
        complete=all(task.counts.finished >= task.counts.planned for task in tasks),
        notes=[*manifest.notes, *repeated(manifest, used), *_run_notes(found), *notes],
        journal_bytes=found.journal_bytes,
    )


def write(run_dir: Path, results: Results) -> Path:
    """Write results.json; a reader sees the old file or the new one. Raises StorageError."""
    text = msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n"
    return write_atomically(run_dir / RESULTS, text)


def write_atomically(path: Path, content: bytes) -> Path:
    """Replace `path` at once. Raises StorageError (disk full, no such folder)."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as fault:
        raise StorageError(f"{path}: cannot be written: {fault.strerror}") from fault
    return path


def load(run_dir: Path) -> Results:
    """The results as written, where they are up to date; else built anew (and not written)."""
    return _up_to_date(run_dir) or build(run_dir)


def _up_to_date(run_dir: Path) -> Results | None:
    path, journal = run_dir / RESULTS, run_dir / JOURNAL
    try:
        results = msgspec.json.decode(path.read_bytes(), type=Results)
        written = path.stat().st_mtime_ns
        # The size as well as the time: rows may have been added between reading the journal and writing.
        same = journal.stat().st_size == results.journal_bytes
        newer = all(written > other.stat().st_mtime_ns for other in (journal, run_dir / MANIFEST))
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return results if same and newer else None


def _measured(task: TaskScan, seed: int) -> list[Measurement]:
    plan = task.plan
    return measure(plan.aggregation, task.verdicts(), plan.missing, seed, plan.planned)


def _task_result(task: TaskScan, measured: list[Measurement]) -> TaskResult:
    plan = task.plan
    verdicts = list(task.verdicts())
    return TaskResult(
        name=plan.name,
        version=plan.version,
        profile=plan.profile,
        fingerprint=plan.fingerprint,
        data=plan.data,
        comparable=plan.data != "synthetic" and plan.protocol_judge,
        judge=plan.judge,
        protocol_judge=plan.protocol_judge,
        missing_policy=plan.missing,
        metrics=[metric.result for metric in measured],
        figures=figures(plan.aggregation, verdicts),
        counts=_counts(task, verdicts),
        model_usage=task.model.usage(),
        judge_usage=task.judge.usage(),
        tool_usage=task.tools.usage(),
        seconds=round(task.model.seconds, 3),
        masked=_masked(task),
        model_notes=_model_notes(task),
        notes=[*plan.notes, *_task_notes(task, verdicts)],
    )


def _counts(task: TaskScan, verdicts: list[Verdict]) -> Counts:
    states: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    empty = 0
    for _, _, record in task:
        states[record.state] += 1
        empty += record.empty
        if record.state == "error":
            errors[record.fault or "unknown"] += 1
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    missing = {str(s): n for s, n in sorted(outcomes.items(), key=str) if s not in (None, "scored")}
    scored = outcomes["scored"]
    failures = missing.get("unparsed", 0) + missing.get("judge_error", 0)
    return Counts(
        planned=task.plan.planned,
        finished=len(verdicts) - outcomes[None],
        responses=len(verdicts),
        ok=states["ok"],
        refused=states["refused"],
        truncated=states["truncated"],
        skipped=states["skipped"],
        errors=dict(sorted(errors.items())),
        empty=empty,
        scored=scored,
        missing=missing,
        judge_attempts=scored + failures,
        judge_failures=failures,
        judge_error_rate=judge_error_rate(scored, missing),
        tool_calls=sum(record.tool_calls for _, _, record in task),
        tool_errors=sum(record.tool_errors for _, _, record in task),
        wrong_calls=sum(record.wrong_calls for _, _, record in task),
    )


def _masked(task: TaskScan) -> dict[str, int]:
    """Samples, not responses: the repeats of a sample are masked alike."""
    samples = {(name, record.masked) for name, _, record in task if record.masked}
    return dict(sorted(Counter(modality for _, masked in samples for modality in masked).items()))


def _model_notes(task: TaskScan) -> dict[str, int]:
    counts = Counter(note for _, _, record in task for note in record.notes)
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_NOTES_SHOWN]
    return dict(shown)


def _task_notes(task: TaskScan, verdicts: list[Verdict]) -> list[str]:
    metrics = outline(task.plan.aggregation)
    notes = []
    if task.foreign:
        notes.append(f"left out: {counted(task.foreign, 'journal row')} of another configuration")
    if task.orphans:
        notes.append(f"left out: {counted(task.orphans, 'score')} without a response")
    named = metrics.groups()
    strange = Counter(v.group for v in verdicts if v.group not in named and not metrics.takes_any_group())
    for group, n in sorted(strange.items())[:_NOTES_SHOWN]:
        notes.append(f"in no mean: {counted(n, 'response')} of group {group!r}, which the task does not name")
    notes += _outside(verdicts, metrics.value_scale())
    judges = Counter(record.judge for _, _, record in task if record.judge not in ("", task.plan.judge))
    for judge, n in sorted(judges.items())[:_NOTES_SHOWN]:
        notes.append(f"{counted(n, 'score')} by {judge}, not by {task.plan.judge}")
    if len(verdicts) > task.plan.planned:
        notes.append(f"{counted(len(verdicts), 'response')}, more than the {task.plan.planned} planned")
    return notes


def _outside(verdicts: list[Verdict], scale: tuple[float, float] | None) -> list[str]:
    """Numbers that the protocol lets stand in for missing ones may lie wherever it has put them."""
    if scale is None:
        return []
    low, high = scale
    values = [v.value for v in verdicts if v.value is not None and v.state == "scored"]
    outside = sum(not low <= value <= high for value in values)
    return [f"{counted(outside, 'score')} outside of the scale [{low:g}, {high:g}]"] if outside else []


def _run_notes(found: Scan) -> list[str]:
    return [
        f"left out: {counted(n, 'journal row')} of task {task!r}, which the manifest does not have"
        for task, n in sorted(found.unplanned.items())[:_NOTES_SHOWN]
    ]
