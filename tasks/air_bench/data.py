"""AIR-Bench's files: `Chat/Chat_meta.json` or `Foundation/Foundation_meta.json`, and audio by cell.

They come from the hub, a folder of the same layout, or a twin. From the hub, only the chosen cells are
fetched. Not every row of the published files has its audio: the benchmark's inference scripts pass over such
rows, and a few published files are empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

import msgspec

from eval_anything.errors import DataError
from eval_anything.hub import download
from eval_anything.protocol import ProfileOptions
from eval_anything.records import (
    Medium,
    check_folder,
    check_media,
    check_unique,
    json_rows,
    place,
    records,
    revision_of,
    sizes_of,
)
from eval_anything.suggest import unknown
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.air_bench.cells import CHAT, CHAT_ROWS, FOUNDATION, Cell, chosen

REPOSITORY: Final = "qyang1021/AIR-Bench-Dataset"
REVISION: Final = "7766a6f775ab20013e957353961007ab157a5d46"
"""The last commit that changed data; later ones changed the hub's README."""
LICENCE: Final = "CC BY-NC 4.0; the whole data set has about 49 GB, -T only=TASK,TASK fetches less"
_COMPLETE: Final = 0.95
"""Of the rows that are known to have audio: a few published files are empty."""
_FLAC_TASK: Final = "Audio_Grounding"
"""Its rows name .wav files; the files are .flac."""

Value = str | bool | int | float | list[Any]
"""What a choice may be in JSON; shown, and compared, as Python prints it."""


class AIRBenchOptions(ProfileOptions, frozen=True):
    only: str = ""
    """Tasks, with commas between them, in place of all: their averages are not the benchmark's."""
    missing_audio: Literal["refuse", "skip"] = "refuse"
    """What becomes of rows whose audio is not there, or empty. From the hub they are always skipped, as the
    benchmark's own inference scripts do."""
    revision: str = REVISION
    """Commit or branch of the hub data set."""


class Row(msgspec.Struct, frozen=True):
    """What the rows of both halves have; fields besides these are not read."""

    path: str
    task_name: str
    dataset_name: str
    question: str
    uniq_id: str

    @property
    def cell(self) -> str:
        return f"{self.task_name}_{self.dataset_name}"


class ChatRow(Row, frozen=True):
    answer_gt: str
    meta_info: str
    """What is in the audio, in words: the judge reads it in place of listening."""


class FoundationRow(Row, frozen=True):
    answer_gt: Value
    choice_a: Value
    choice_b: Value
    choice_c: Value | None = None
    choice_d: Value | None = None


R = TypeVar("R", bound=Row)


class Half(NamedTuple, Generic[R]):
    """One of the two halves of the benchmark."""

    name: Literal["Chat", "Foundation"]
    kind: type[R]
    cells: tuple[Cell, ...]
    published: dict[str, tuple[int, ...]]
    """Numbers of rows that are known to be right, by task or by cell."""

    @property
    def file(self) -> str:
        return f"{self.name}/{self.name}_meta.json"

    @property
    def expected(self) -> str:
        return f"{self.file} and {self.name}/{{task_name}}_{{dataset_name}}/ with the audio of its rows"


CHAT_HALF: Final = Half("Chat", ChatRow, CHAT, {task: (rows,) for task, rows in CHAT_ROWS.items()})
FOUNDATION_HALF: Final = Half(
    "Foundation", FoundationRow, FOUNDATION, {c.name: (c.rows, c.heard or c.rows) for c in FOUNDATION}
)


class Item(NamedTuple, Generic[R]):
    row: R
    audio: Path


def open_half(half: Half[R], source: DataSource, options: AIRBenchOptions) -> Dataset:
    """The rows of the chosen cells with their audio, as `Dataset.records`.

    Raises DataError naming file, row and field where the files are not in the benchmark's layout, or where
    audio is missing that must not be.
    """
    cells = chosen(half.cells, options.only)
    root, notes = _locate(half, source, options, cells)
    path = root / half.file
    rows = _rows(path, half)
    if source.kind == "hub":
        _check_counts(path, rows, half.published)
    names = {cell.name for cell in cells}
    items = [
        (number, Item(row, _audio(root, half, row))) for number, row in enumerate(rows) if row.cell in names
    ]
    if not items:
        raise DataError(f"{path}: no rows of {options.only}")
    _check_folders(root, half, [item.row.cell for _, item in items])
    skip = source.kind == "hub" or options.missing_audio == "skip"
    heard = [(number, item) for number, item in items if not skip or _has_sound(item.audio)]
    media = [Medium(item.audio, "audio", place(path, n, item.row, "uniq_id")) for n, item in heard]
    check_media(media)
    found = tuple(item for _, item in heard)
    if source.kind == "hub":
        _check_heard(path, [item.row for _, item in items], [item.row for item in found], half.published)
    return Dataset(
        kind=source.kind,
        # The hub's cache keeps the files themselves beside the snapshot that links to them.
        root=root.parent.parent if source.kind == "hub" else root,
        revision=revision_of([item.row for item in found], sizes_of(media, root)),
        size=len(found),
        records=found,
        notes=(*notes, *_left_out([item.row for _, item in items], [item.row for item in found])),
    )


def _locate(
    half: Half[R], source: DataSource, options: AIRBenchOptions, cells: Sequence[Cell]
) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds the half's folder, and notes on where it came from."""
    notes = (f"only {options.only}: not the benchmark's averages",) if options.only else ()
    if source.kind != "hub":
        assert source.path is not None
        check_folder(source.path, (half.file,), (), half.expected)
        return source.path, notes
    files = [half.file, *(f"{half.name}/{cell.name}/*" for cell in cells)]
    root = download(REPOSITORY, options.revision, files, licence=LICENCE)
    return root, (f"hub data set {REPOSITORY} at {root.name}", *notes)


def _rows(path: Path, half: Half[R]) -> list[R]:
    rows = records(path, json_rows(path, half.expected), half.kind, "uniq_id")
    check_unique(path, "uniq_id", (row.uniq_id for row in rows))
    known = {cell.name for cell in half.cells}
    for number, row in enumerate(rows):
        if row.cell not in known:
            wrong = unknown("task_name and dataset_name", row.cell, known)
            raise DataError(f"{place(path, number, row, 'uniq_id')}: {wrong}")
    return rows


def _count(rows: Sequence[Row], published: dict[str, tuple[int, ...]]) -> Counter[str]:
    """By cell, or by task where only the tasks' numbers are known."""
    return Counter(row.cell if row.cell in published else row.task_name for row in rows)


def _check_counts(path: Path, rows: Sequence[Row], published: dict[str, tuple[int, ...]]) -> None:
    found = _count(rows, published)
    for name, right in published.items():
        if found[name] not in right:
            raise DataError(
                f"{path}: {found[name]} rows of {name}, the published data set has {right[0]}:"
                " another revision?"
            )


def _check_heard(
    path: Path, rows: Sequence[Row], kept: Sequence[Row], published: dict[str, tuple[int, ...]]
) -> None:
    """A download that broke off must not pass for the published lack of audio."""
    found = _count(kept, published)
    for name in _count(rows, published):
        if found[name] < _COMPLETE * min(published[name]):
            raise DataError(
                f"{path}: {found[name]} rows of {name} have their audio, of {min(published[name])} that are"
                " known to have it: an incomplete download? (what is there can be read with --data"
                f" {path.parent.parent} -T missing_audio=skip)"
            )


def _audio(root: Path, half: Half[R], row: Row) -> Path:
    name = f"{row.path[:-3]}flac" if row.task_name == _FLAC_TASK else row.path
    return root / half.name / row.cell / name


def _check_folders(root: Path, half: Half[R], cells: Sequence[str]) -> None:
    """Rows may be skipped for lack of audio, whole cells may not: the averages would lack them."""
    for name, rows in Counter(cells).items():
        folder = root / half.name / name
        if not folder.is_dir():
            raise DataError(
                f"{folder}: no such folder, {rows} rows need it; expected {half.expected}"
                " (or choose tasks with -T only=TASK,TASK)"
            )


def _has_sound(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _left_out(rows: Sequence[Row], kept: Sequence[Row]) -> tuple[str, ...]:
    """One note for each cell of which rows were skipped."""
    lost = Counter(row.cell for row in rows) - Counter(row.cell for row in kept)
    return tuple(f"left out: {n} rows of {cell}, whose audio is missing or empty" for cell, n in lost.items())
