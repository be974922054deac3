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
from eval_anything_train.data.annotated import EMPTY, NOTHING_ASKED, Annotated, Form, Left
from eval_anything_train.data.columns import Columns, Subtask
from eval_anything_train.data.forms import form_of
from eval_anything_train.data.media import Keeper, Places
from eval_anything_train.data.reader import About, Item, Reader
from eval_anything_train.values import Demonstration, Prompt, Record

_ID = "id"


class Local(Reader):
    """Reads files whose form each one's columns tell."""

    def __init__(self, about: About, of: Subtask | None, places: Places) -> None:
        """Raises DataError where the first file cannot be read, or lacks columns."""
        self._subtask = of
        self._places = places
        self._held: dict[Path, list[str]] = {}
        form = self._form(about.files[0])
        told = form.subtask.short if isinstance(form, Annotated) else ""
        self.about = msgspec.structs.replace(about, subtask=about.subtask or told)

    def items(self, kind: type[Any]) -> Iterator[Item]:
        for path in self.about.files:
            form = self._form(path)
            yield from self._own(path) if form is None else self._rows(path, form, kind)

    def _form(self, path: Path) -> Form | None:
        """None: the project's schema, whose lines say what is wrong with them."""
        if path not in self._held:
            self._held[path] = tables.columns(path)
        held = self._held[path]
        return None if "messages" in held else form_of(Columns(path, held), self._subtask)

    def _own(self, path: Path) -> Iterator[Item]:
        for number, line in tables.lines(path):
            where = place(path, number)
            record = schema.decode(line, where, partial(self._found, where))
            if not record.id:
                record = msgspec.structs.replace(record, id=f"{tables.stem(path)}-{number}")
            yield Item(number, place(path, number, record, _ID), _whole(record))

    def _found(self, where: str, name: str) -> str:
        return str(self._places.find(name, where))

    def _rows(self, path: Path, form: Form, kind: type[Any]) -> Iterator[Item]:
        if not form.pairs and kind not in (Demonstration, Prompt):
            raise DataError(
                f"{path}: its rows have answers to imitate and none that is better or worse than another:"
                f" demonstrations or prompts, not {kind.__name__.lower()} records"
            )
        keeper = Keeper(self._places)
        named = {_ID} & set(self._held[path])
        for number, row in tables.rows(path, form.columns | named):
            where = place(path, number, row, _ID)
            made = form.read(row, where, keeper, kind)
            if not isinstance(made, Left):
                made = msgspec.structs.replace(made, id=tables.row_id(row, path, number))
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
        subtask=of.short if of else "",
        **{"name": str(path), **more},
    )
    packed: Iterable[Callable[[], Path]] = [partial(Path, archive) for archive in files.archives(folder)]
    return Local(about, of, Places(roots, packed, trusted=trusted))


def _whole(record: Record) -> Record | Left:
    """Without the records that are left out of the other forms as well."""
    answers = [getattr(record, name) for name in ("answer", "chosen", "rejected") if hasattr(record, name)]
    if any(map(_empty, answers)):
        return Left(EMPTY)
    return Left(NOTHING_ASKED) if _empty(record.messages[-1].parts) else record


def _empty(parts: tuple[Part, ...]) -> bool:
    return not any(not isinstance(part, Text) or part.text.strip() for part in parts)
