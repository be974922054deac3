"""The known truth of a synthetic twin: what its task's offline judge, which knows the scene, says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Judge
from eval_anything.judged.labels import Labels
from eval_anything.judged.verdicts import digest
from eval_anything.media.store import ArtifactStore
from eval_anything.options import parse
from eval_anything.registry import Plugins
from eval_anything.results.export import MEDIA
from eval_anything.results.results import JOURNAL, MANIFEST
from eval_anything.results.scan import TaskScan, scan
from eval_anything.stores.journal import read_row_at
from eval_anything.stores.manifest import TaskPlan, read_manifest
from eval_anything.stores.rows import ResponseRow
from eval_anything.task import Task


def truth(folders: Sequence[Path], tasks: Sequence[str] = ()) -> Labels:
    """A label for each answer in the runs `folders`. Raises UsageError where a task has no known truth."""
    labels = Labels("truth of the synthetic twin")
    for folder in folders:
        manifest = read_manifest(folder / MANIFEST)
        plugins = Plugins(manifest.config.get("include", ()))
        found = scan(folder / JOURNAL, manifest.tasks)
        for name, scanned in found.tasks.items():
            if not tasks or name in tasks:
                task, judge = _knowing(plugins, scanned.plan)
                asyncio.run(_label(labels, folder, scanned, task, judge))
    return labels


def _knowing(plugins: Plugins, plan: TaskPlan) -> tuple[Task, Judge]:
    """The task as it was run, and the judge that knows its truth."""
    cls = plugins.tasks.get(plan.name)
    knowing = cls.truth_judge or cls.offline_judge
    if plan.data != "synthetic" or not knowing:
        why = f"{plan.data} data" if plan.data != "synthetic" else "no offline judge"
        raise UsageError(f"--labels truth: task {plan.name} has {why}: its truth is not known")
    options = plan.identity.get("task", {}).get("options", {})
    judge = plugins.judges.get(knowing)
    where = f"task {plan.name} as it was run"
    return cls(parse(cls.Options, options, where)), judge(parse(judge.Options, {}, where))


async def _label(labels: Labels, folder: Path, scanned: TaskScan, task: Task, judge: Judge) -> None:
    store = ArtifactStore(folder / MEDIA)
    for sample, repeat, record in scanned:
        row = read_row_at(folder / JOURNAL, record.response_at)
        if not isinstance(row, ResponseRow) or not row.response.answered:
            continue
        score = task.settled(row.sample, row.response)
        if score is None:
            case = task.case(row.sample, row.response)
            case = msgspec.structs.replace(case, repeat=repeat, task=task.name, store=store)
            score = await judge.score(case)
        if score.state == "scored" and score.value is not None:
            labels.add_answer(task.name, sample, digest(row.response), score.value)
