"""Identity of a measurement: what must be the same for two numbers to be comparable."""

from __future__ import annotations

from typing import Any

import msgspec

from eval_anything.judge import Judge
from eval_anything.run.assembly import Parts, TaskParts
from eval_anything.run.endpoint import merge


def identity(parts: Parts, item: TaskParts) -> dict[str, Any]:
    """Task, data, model, judge and parameters, as plain JSON values."""
    task, model = item.task, parts.model
    found = {
        "task": {
            "name": task.name,
            "version": task.version,
            "options": msgspec.to_builtins(task.options),
            **task.identity(),
        },
        "data": {"kind": item.dataset.kind, "revision": item.dataset.revision},
        "model": {
            **model.identity(),
            "params": msgspec.to_builtins(merge(task.params, model.params)),
        },
        "judge": None if item.judge is None else _of_judge(item.judge),
        "agent": None if item.agent is None else item.agent.identity(),
        "mask": sorted(parts.config.mask),
        "seed": parts.config.seed,
        "missing": parts.config.missing,
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return plain


def _of_judge(judge: Judge) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": judge.name,
        "options": {
            name: value
            for name, value in msgspec.to_builtins(judge.options).items()
            if name not in judge.transport_options
        },
        **judge.identity(),
    }
    if judge.endpoint is not None:
        found["model"] = judge.endpoint.identity()
    if judge.members:
        found["members"] = [_of_judge(member) for member in judge.members]
    return found
