"""A run directory written row by row, as a run writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from eval_anything.stats.aggregate import Means
from eval_anything.stores.manifest import Manifest, TaskPlan, write_manifest
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.values import Fault, Message, Response, Sample, Score, Text, Usage

FINGERPRINT = "f" * 64


class RunFiles:
    """Rows are kept as bytes, so that tests may reorder, repeat and break them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.jsonl"
        self.lines: list[bytes] = []

    def plan(self, **changes: Any) -> TaskPlan:
        plan = TaskPlan(
            name="amu",
            version="1",
            fingerprint=FINGERPRINT,
            data="path",
            revision="r1",
            planned=4,
            aggregation=Means(overall="AMU", low=1, high=10),
            judge="rubric:openai/gpt-4o",
            protocol_judge=True,
        )
        return msgspec.structs.replace(plan, **changes)

    def manifest(self, *plans: TaskPlan, **changes: Any) -> Path:
        manifest = Manifest(
            created="2026-01-02T03:04:05Z", model="fake/echo", tasks=plans, config={}, versions={}
        )
        write_manifest(self.folder / "manifest.json", msgspec.structs.replace(manifest, **changes))
        return self.folder

    def response(
        self, id: str, *, task: str = "amu", repeat: int = 0, fingerprint: str = FINGERPRINT, **fields: Any
    ) -> None:
        """`fields` go to the response or, where it has none of that name, to the sample."""
        own = {k: v for k, v in fields.items() if k in Response.__struct_fields__}
        about = {k: v for k, v in fields.items() if k not in own}
        if own.get("state", "ok") in ("ok", "truncated"):
            own.setdefault("parts", (Text(f"answer to {id}"),))
        own.setdefault("usage", Usage(requests=1, input_tokens=10, output_tokens=5))
        sample = Sample(**{"id": id, "messages": (Message("user", (Text(f"question {id}"),)),), **about})
        row = ResponseRow(
            task=task,
            id=id,
            repeat=repeat,
            fingerprint=fingerprint,
            time=1.0,
            sample=sample,
            response=Response(**own),
        )
        self.lines.append(msgspec.json.encode(row) + b"\n")

    def score(
        self,
        id: str,
        value: float | None,
        state: str = "scored",
        *,
        task: str = "amu",
        repeat: int = 0,
        fingerprint: str = FINGERPRINT,
        **fields: Any,
    ) -> None:
        fields.setdefault("usage", Usage(requests=1, input_tokens=100, output_tokens=1))
        score = Score(**{"value": value, "state": state, "judge": "rubric:openai/gpt-4o", **fields})
        row = ScoreRow(task=task, id=id, repeat=repeat, fingerprint=fingerprint, time=2.0, score=score)
        self.lines.append(msgspec.json.encode(row) + b"\n")

    def scored(self, id: str, value: float, **fields: Any) -> None:
        """A response and its score."""
        where = {k: v for k, v in fields.items() if k in ("task", "repeat", "fingerprint")}
        self.response(id, **fields)
        self.score(id, value, **where)

    def failed(self, id: str, kind: str = "transport", **fields: Any) -> None:
        """An error, and the verdict that there was nothing to judge."""
        where = {k: v for k, v in fields.items() if k in ("task", "repeat", "fingerprint")}
        self.response(id, state="error", fault=Fault(kind, "no answer"), **fields)
        self.score(id, None, "no_response", reason="no answer", usage=Usage(), **where)

    def save(self) -> Path:
        self.journal.write_bytes(b"".join(self.lines))
        return self.folder
