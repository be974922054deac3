"""Data files in a folder, and single ones: align-anything's columns, or the project's own schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError
from eval_anything.records import place
from eval_anything.values import Part, Text
from eval_anything_train.data import files, schema, tables
from eval_anything_train.data.annotated import EMPTY, NOTHING_ASKED, Annotated, Left
from eval_anything_train.data.cells import Row
from eval_anything_train.data.columns import Columns, Subtask
from eval_anything_train.data.forms import form_of
from eval_anything_train.data.media import Keeper, Places
from eval_anything_train.data.reader import About, Item, Reader
from eval_anything_train.values import Demonstration, Prompt, Record

_ID = "id"


class Local(Reader):
    """Reads files whose form each one's columns tell."""

    def __init__(self, about: About, of: Subtask | None, places: Places) -> None:
        self.about = about
        self._subtask = of
        self._places = places

    def items(self, kind: type[Any]) -> Iterator[Item]:
        for path in self.about.files:
            held = tables.columns(path)
            yield from _own(path) if _is_own(held) else self._rows(path, held, kind)

    def _rows(self, path: Path, held: list[str], kind: type[Any]) -> Iterator[Item]:
        form = form_of(Columns(path, held), self._subtask)
        if not form.pairs and kind not in (Demonstration, Prompt):
            raise DataError(
                f"{path}: its rows have answers to imitate and none that is better or worse than another:"
                f" demonstrations or prompts, not {kind.__name__.lower()} records"
            )
        keeper = Keeper(self._places)
        named = {_ID} & set(held)
        for number, row in tables.rows(path, form.columns | named):
            where = place(path, number, row, _ID)
            made = form.read(row, where, keeper, kind)
            if not isinstance(made, Left):
                made = msgspec.structs.replace(made, id=_id(row, path, number))
            yield Item(number, where, made)


def open_local(
    path: Path,
    of: Subtask | None,
    split: str,
    media: Path | None = None,
    *,
    trusted: bool = True,
    **more: Any,
) -> Local:
    """The data set at `path`, a file or a folder. `media`: where the media that rows name lie, if not there.

    `trusted`: their names may lead anywhere. `more`: what else is known, as fields of `About`. Raises
    DataError where there is none.
    """
    found, of = files.find(path, of, split)
    folder = found[0].parent
    roots = [folder] if media is None else [media, folder]
    if media is not None and not media.is_dir():
        raise DataError(f"{media}: no such folder")
    about = About(
        files=tuple(found),
        options={"subtask": of.short if of else "", "media": [str(root.resolve()) for root in roots]},
        subtask=_told(found[0], of),
        **{"name": str(path), **more},
    )
    packed: Iterable[Callable[[], Path]] = [partial(Path, archive) for archive in files.archives(folder)]
    return Local(about, of, Places(roots, packed, trusted=trusted))


def _told(path: Path, of: Subtask | None) -> str:
    """The subtask that was asked for, or that the columns tell; "" where the file is of another form."""
    held = tables.columns(path)
    form = None if _is_own(held) else form_of(Columns(path, held), of)
    return form.subtask.short if isinstance(form, Annotated) else ""


def _is_own(held: list[str]) -> bool:
    """Whether a file is in the project's schema; its lines say what is wrong with them."""
    return "messages" in held


def _own(path: Path) -> Iterator[Item]:
    _, rename = schema.beside(path.parent)
    for number, line in tables.lines(path):
        where = place(path, number)
        record = schema.decode(line, where, rename)
        if not record.id:
            record = msgspec.structs.replace(record, id=f"{tables.stem(path)}-{number}")
        yield Item(number, place(path, number, record, _ID), _whole(record))


def _whole(record: Record) -> Record | Left:
    """Without the records that are left out of the other forms as well."""
    answers = [getattr(record, name) for name in ("answer", "chosen", "rejected") if hasattr(record, name)]
    if any(map(_empty, answers)):
        return Left(EMPTY)
    return Left(NOTHING_ASKED) if _empty(record.messages[-1].parts) else record


def _empty(parts: tuple[Part, ...]) -> bool:
    return not any(not isinstance(part, Text) or part.text.strip() for part in parts)


def _id(row: Row, path: Path, number: int) -> str:
    """The row's own, or the names of file and row."""
    own = row.get(_ID)
    return str(own) if own not in (None, "") else f"{tables.stem(path)}-{number}"
