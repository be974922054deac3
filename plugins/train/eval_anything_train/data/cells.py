"""Cells of a row, read as what they must be; every fault names row and column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from eval_anything.errors import DataError
from eval_anything.values import File, Message, Modality, Part, Text
from eval_anything_train.data.columns import Columns
from eval_anything_train.data.media import Keeper
from eval_anything_train.values import Answer

Row = dict[str, Any]


def text(row: Row, column: str, where: str) -> str:
    """ "" where there is nothing. Raises DataError for what is no text."""
    value = _held(row, column, where)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: {column} is {type(value).__name__}, expected text")
    return value


def choice(row: Row, column: str, where: str) -> int | None:
    """1 or 2; None for a tie, or where nothing is said."""
    value = _held(row, column, where)
    if isinstance(value, str) and value.strip() in ("1", "2"):
        value = int(value)
    return int(value) if isinstance(value, int | float) and value in (1, 2) else None


def number(row: Row, column: str, where: str) -> float | None:
    """Raises DataError for what is no number."""
    value = row.get(column)
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {column} is {value!r}, expected a number") from None


def _held(row: Row, column: str, where: str) -> Any:
    if column not in row:
        raise DataError(f"{where}: no {column}")
    return row[column]


class Side:
    """One answer: its columns, and what a row has in them."""

    def __init__(self, text: str | None, medium: tuple[Modality, str] | None = None) -> None:
        self.text = text
        self.medium = medium
        self.columns = [name for name in (text, medium and medium[1]) if name]

    def empty(self, row: Row, where: str) -> bool:
        """Whether a row has no such answer."""
        said = self.text is not None and text(row, self.text, where).strip()
        made = self.medium is not None and _held(row, self.medium[1], where)
        return not (said or made)

    def same(self, other: Side, row: Row) -> bool:
        return [row[name] for name in self.columns] == [row[name] for name in other.columns]

    def parts(self, row: Row, where: str, keeper: Keeper) -> Answer:
        """Words, then media."""
        said = "" if self.text is None else text(row, self.text, where)
        files: tuple[File, ...] = ()
        if self.medium is not None:
            modality, column = self.medium
            files = keeper.files(_held(row, column, where), modality, f"{where}: {column}")
        return (*((Text(said),) if said.strip() else ()), *files)


class Asked:
    """The prompt: its columns, and what a row has in them."""

    def __init__(
        self, columns: Columns, names: Sequence[str], given: Sequence[tuple[Modality, str]], reader: str
    ) -> None:
        self.question = columns.need(names, reader)
        self.given = tuple(given)
        self.columns = [self.question, *(name for _, name in self.given)]

    def empty(self, row: Row, where: str) -> bool:
        """Whether a row asks nothing."""
        media = any(_held(row, column, where) for _, column in self.given)
        return not (media or text(row, self.question, where).strip())

    def parts(self, row: Row, where: str, keeper: Keeper) -> list[Part]:
        """Media, then words. Where the words name the place of a medium (`<video>`), that mark is dropped, as
        align-anything does: chat templates have marks of their own."""
        words = text(row, self.question, where)
        files: list[Part] = []
        for modality, column in self.given:
            files += keeper.files(_held(row, column, where), modality, f"{where}: {column}")
            words = words.replace(f"<{modality}>", "")
        return [*files, *([Text(words.strip())] if words.strip() else [])]

    def messages(self, row: Row, where: str, keeper: Keeper) -> tuple[Message, ...]:
        """One turn of the user's."""
        return (Message("user", tuple(self.parts(row, where, keeper))),)
