"""Samples as data files: an index for filter and search, and pages that are loaded when looked at."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.report.script import call
from eval_anything.report.strings import is_media_path, tame, tamed
from eval_anything.results.export import task_rows
from eval_anything.results.scan import TaskScan

PAGE = 100
_SNIPPET = 100
_SHARED = ("id", "repeat", "group", "cluster", "messages", "further", "references", "metadata", "masked")
_OF_A_RUN = (
    *("parts", "answers", "tools", "state", "fault", "selected", "trace", "finish_reason", "notes", "usage"),
    *("tool_usage", "seconds", "score", "score_state", "reason", "judge", "components", "judge_details"),
)


class Source(msgspec.Struct, frozen=True):
    """One task of one run."""

    run: Path
    scan: TaskScan
    number: int
    """Of the run, in the order of the columns."""


Key = tuple[str, int]


def write_samples(out: Path, task: str, sources: list[Source], runs: int) -> int:
    """Write `data/<task>/index.js` and the pages beside it; media into `media/`. Returns how many samples.

    Rows of several runs about one sample and repeat stand together, sorted by id. Each run's rows are read
    one after another, so that memory grows with the index alone.
    """
    folder = out / "data" / task
    folder.mkdir(parents=True, exist_ok=True)
    index: list[list[Any]] = []
    page: list[dict[str, Any]] = []
    for row in _merged(sources, runs):
        _copy_media(out, sources, row)
        index.append(_entry(row))
        page.append(row)
        if len(page) == PAGE:
            _write_page(folder, task, len(index) // PAGE, page)
            page = []
    if page:
        _write_page(folder, task, len(index) // PAGE + 1, page)
    (folder / "index.js").write_bytes(call("index", task, PAGE, index))
    return len(index)


def _write_page(folder: Path, task: str, number: int, page: list[dict[str, Any]]) -> None:
    (folder / f"{number}.js").write_bytes(call("page", task, number, page))


def _merged(sources: list[Source], runs: int) -> Iterator[dict[str, Any]]:
    """One dict for each sample and repeat, with a place for each run."""
    with ExitStack() as stack:
        streams = [(source, stack.enter_context(task_rows(source.run, source.scan))) for source in sources]
        waiting: dict[int, tuple[Key, dict[str, Any]]] = {}
        for i, (_, stream) in enumerate(streams):
            _advance(waiting, i, stream)
        while waiting:
            first = min(key for key, _ in waiting.values())
            at = [i for i, (key, _) in waiting.items() if key == first]
            rows = {streams[i][0].number: waiting[i][1] for i in at}
            for i in at:
                _advance(waiting, i, streams[i][1])
            yield _together(rows, runs)


def _advance(
    waiting: dict[int, tuple[Key, dict[str, Any]]], i: int, stream: Iterator[dict[str, Any]]
) -> None:
    row = next(stream, None)
    if row is None:
        waiting.pop(i, None)
    else:
        waiting[i] = ((row["id"], row["repeat"]), row)


def _together(rows: dict[int, dict[str, Any]], runs: int) -> dict[str, Any]:
    first = next(iter(rows.values()))
    shared = {name: tamed(first[name]) for name in _SHARED if first.get(name)}
    own = [_own(rows[n]) if n in rows else None for n in range(runs)]
    return {"id": "", "repeat": 0, "group": "", **shared, "runs": own}


def _own(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tamed(row[name])
        for name in _OF_A_RUN
        if name in row and row[name] not in (None, "", [], {}, ())
    }


def _entry(row: dict[str, Any]) -> list[Any]:
    """What the list shows, filters and searches: id, repeat, group, beginning of the question, and for each
    run its score and the states of response and score."""
    runs = [
        None if own is None else [own.get("score"), own.get("state", ""), own.get("score_state", "")]
        for own in row["runs"]
    ]
    return [row["id"], row["repeat"], row["group"], _snippet(row.get("messages", ())), runs]


def _snippet(messages: Iterable[dict[str, Any]]) -> str:
    for message in messages:
        for part in message["parts"]:
            if part.get("type") == "text" and message["role"] == "user":
                return tame(" ".join(part["text"].split()))[:_SNIPPET]
    return ""


def _copy_media(out: Path, sources: list[Source], row: dict[str, Any]) -> None:
    """Every medium that the row shows; what is no path of the store loses its path."""
    for part in _media(row):
        path = part.pop("path")
        if not is_media_path(path):
            continue
        target = out / path
        if not target.exists():
            origin = next((s.run / path for s in sources if (s.run / path).is_file()), None)
            if origin is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, target)
        part["path"] = path


def _media(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "path" in value and value.get("type") in ("image", "audio", "video"):
            yield value
        for inner in value.values():
            yield from _media(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _media(inner)
