"""Samples as JSON lines, one for each response: to be read by people, by other tools, and by `replay/`."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import msgspec

from eval_anything.errors import DataError, MediaError, StorageError
from eval_anything.results.results import JOURNAL, MANIFEST
from eval_anything.results.scan import Record, Scan, TaskScan, scan
from eval_anything.stores.manifest import read_manifest
from eval_anything.stores.rows import ResponseRow, Row, ScoreRow
from eval_anything.values import (
    Audio,
    File,
    Image,
    Message,
    Params,
    Part,
    Response,
    ToolCall,
    ToolResult,
    Video,
)

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore

MEDIA = "media"
R = TypeVar("R", ResponseRow, ScoreRow)
_decoder = msgspec.json.Decoder(Row)


def export_samples(run_dir: Path, found: Scan | None = None) -> list[Path]:
    """Write `samples_<task>.jsonl` for each task of a run, sorted by id and repeat; returns their paths.

    Each has the latest response and its score. Paths of media are relative to the run's directory, where the
    files are written, so that `replay/<run>/samples_<task>.jsonl` finds them. The journal is read twice, by
    offsets (the first time by `found`, if that is given), and never held in memory. Raises DataError for a
    damaged journal, StorageError.
    """
    from eval_anything.media.store import ArtifactStore

    manifest = read_manifest(run_dir / MANIFEST)
    found = found or scan(run_dir / JOURNAL, manifest.tasks)
    store = ArtifactStore(Path(MEDIA))
    names = _file_names(list(found.tasks))
    journal = run_dir / JOURNAL
    return [_write(run_dir / names[n], _rows(journal, task, store)) for n, task in found.tasks.items()]


@contextmanager
def task_rows(run_dir: Path, task: TaskScan) -> Iterator[Iterator[dict[str, Any]]]:
    """The rows of one task of a run, as `export_samples` writes them, read one by one."""
    from eval_anything.media.store import ArtifactStore

    rows = _rows(run_dir / JOURNAL, task, ArtifactStore(Path(MEDIA)))
    try:
        yield rows
    finally:
        rows.close()


def _file_names(tasks: list[str]) -> dict[str, str]:
    """A safe file name for each task; names that become alike are told apart by a number."""
    names: dict[str, str] = {}
    for task in tasks:
        name = stem = f"samples_{re.sub(r'[^A-Za-z0-9._-]', '_', task)}"
        number = 2
        while f"{name}.jsonl" in names.values():
            name, number = f"{stem}_{number}", number + 1
        names[task] = f"{name}.jsonl"
    return names


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> Path:
    import jsonlines

    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            writer = jsonlines.Writer(file, dumps=lambda row: msgspec.json.encode(row).decode())
            writer.write_all(rows)
        partial.replace(path)
    except OSError as fault:
        raise StorageError(f"{path}: cannot be written: {fault.strerror}") from fault
    finally:
        partial.unlink(missing_ok=True)
    return path


def _rows(journal: Path, task: TaskScan, store: ArtifactStore) -> Generator[dict[str, Any], None, None]:
    records = sorted(task, key=lambda item: item[:2])
    if not records:
        return
    with journal.open("rb") as file:
        for sample_id, _, record in records:
            try:
                yield _row(file, record, store)
            except MediaError as fault:
                raise DataError(f"{journal}: task {task.plan.name}, sample {sample_id}: {fault}") from None


def _row(file: BinaryIO, record: Record, store: ArtifactStore) -> dict[str, Any]:
    line = _read(file, record.response_at, ResponseRow)
    sample, response = line.sample, line.response
    tools = [part for part in response.parts if isinstance(part, ToolCall | ToolResult)]
    answer = [part for part in response.parts if not isinstance(part, ToolCall | ToolResult)]
    return {
        "id": line.id,
        "task": line.task,
        "repeat": line.repeat,
        "group": sample.group,
        "cluster": sample.cluster,
        "messages": _messages(sample.messages, store),
        **({"further": [_messages(m, store) for m in sample.further]} if sample.further else {}),
        **({"continuations": sample.continuations} if sample.continuations else {}),
        **({"params": sample.params} if sample.params != Params() else {}),
        "references": sample.references,
        "metadata": sample.metadata,
        "masked": sample.masked,
        "parts": [_made(part, store) for part in answer],
        **({"answers": [_answer(a, store) for a in response.answers]} if response.answers else {}),
        **({"likelihood": response.likelihood} if response.likelihood is not None else {}),
        # Apart from the answer: a recording has no place for them.
        "tools": [_part(part, store) for part in tools],
        "state": response.state,
        "fault": response.fault,
        "selected": response.selected,
        "trace": [
            _made(part, store)
            for message in response.trace
            for part in message.parts
            if isinstance(part, ToolCall | ToolResult)
        ],
        "finish_reason": response.finish_reason,
        "notes": response.notes,
        "usage": response.usage,
        "tool_usage": response.tool_usage,
        "seconds": response.seconds,
        **_score(_read(file, record.score_at, ScoreRow) if record.score_at >= 0 else None),
    }


def _messages(messages: Iterable[Message], store: ArtifactStore) -> list[dict[str, Any]]:
    return [
        {"role": message.role, "parts": [_part(part, store) for part in message.parts]}
        for message in messages
    ]


def _answer(answer: Response, store: ArtifactStore) -> dict[str, Any]:
    """One of several answers to one sample, as `replay/` reads it."""
    return {
        "parts": [_made(p, store) for p in answer.parts if not isinstance(p, ToolCall | ToolResult)],
        "state": answer.state,
        "fault": answer.fault,
        "selected": answer.selected,
        "finish_reason": answer.finish_reason,
        **({"likelihood": answer.likelihood} if answer.likelihood is not None else {}),
    }


def _score(line: ScoreRow | None) -> dict[str, Any]:
    score = line.score if line else None
    if score is None:
        return {"score": None, "score_state": None, "reason": "not judged yet", "judge": ""}
    return {
        "score": score.value,
        "score_state": score.state,
        "reason": score.reason,
        "judge": score.judge,
        "components": score.components,
        "weight": score.weight,
        "judge_details": score.details,
        "judge_usage": score.usage,
    }


def _part(part: Part, store: ArtifactStore) -> dict[str, Any]:
    """A part as `replay/` reads it; media by their path below the run's directory."""
    match part:
        case Image() | Audio() | Video():
            form: dict[str, Any] = {"type": type(part).__name__.lower()}
            form |= {"path": store.path(part.artifact).as_posix(), "sha256": part.artifact.sha256}
            if isinstance(part, Audio) and part.transcript is not None:
                form["transcript"] = part.transcript
            return form
        case ToolResult():
            parts = [_part(inner, store) for inner in part.parts]
            told = {"type": "tool_result", "call_id": part.call_id, "parts": parts, "error": part.error}
            return {**told, "wrong": part.wrong, "usage": part.usage}
        case File():
            # Never stored, so there is nothing to point at; the rest of its path is the machine's affair.
            return {"type": part.modality, "file": Path(part.path).name}
        case _:
            built: dict[str, Any] = msgspec.to_builtins(part)
            return built


def _made(part: Part, store: ArtifactStore) -> dict[str, Any]:
    """As `_part`, with where each medium came from."""
    form = _part(part, store)
    if isinstance(part, Image | Audio | Video) and part.artifact.lineage is not None:
        form["lineage"] = part.artifact.lineage
    if isinstance(part, ToolResult):
        form["parts"] = [_made(inner, store) for inner in part.parts]
    return form


def _read(file: BinaryIO, offset: int, kind: type[R]) -> R:
    file.seek(offset)
    row = _decoder.decode(file.readline())
    if not isinstance(row, kind):  # the scan has seen its kind: somebody has rewritten the journal since
        raise DataError(f"{file.name}: changed while it was being read")
    return row
