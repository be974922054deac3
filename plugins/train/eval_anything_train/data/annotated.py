"""Rows with two answers, how each was rated, and which is better: align-anything's own form."""

from __future__ import annotations

import abc
from typing import NamedTuple

from eval_anything_train.data import columns as c
from eval_anything_train.data.cells import Asked, Row, Side, choice, number, text
from eval_anything_train.data.media import Keeper
from eval_anything_train.feedback import read
from eval_anything_train.values import Demonstration, Feedback, Pair, Prompt, Record

EMPTY = "an answer is empty"
SAME = "both answers are the same"
NOTHING_ASKED = "nothing is asked"
NO_WINNER = "no winner"


class Left(NamedTuple):
    """A row that is left out, and why."""

    why: str


class Form(abc.ABC):
    """Reads rows of one form. `columns` are all that it looks at."""

    pairs = True
    """Whether its rows have a better and a worse answer."""

    def __init__(self, asked: Asked, sides: tuple[Side, ...]) -> None:
        self.asked = asked
        self.sides = sides
        self.columns = {*asked.columns, *(name for side in sides for name in side.columns)}

    def read(self, row: Row, where: str, keeper: Keeper, kind: type[Record]) -> Record | Left:
        """The record in a row, with an empty id; media that `kind` has no use for are left where they are.

        Raises DataError, beginning with `where`, for what cannot be read.
        """
        why = self.left_out(row, where)
        return Left(why) if why else self.record(row, where, keeper, kind)

    def left_out(self, row: Row, where: str) -> str:
        """Why a row is no record; "" where it is one."""
        if any(side.empty(row, where) for side in self.sides):
            return EMPTY
        if len(self.sides) == 2 and self.sides[0].same(self.sides[1], row):
            return SAME
        return NOTHING_ASKED if self.asked.empty(row, where) else ""

    @abc.abstractmethod
    def record(self, row: Row, where: str, keeper: Keeper, kind: type[Record]) -> Record: ...


class Annotated(Form):
    """Two answers of which one won. The same rows are records whatever kind is asked for."""

    def __init__(self, columns: c.Columns, of: c.Subtask) -> None:
        """Raises DataError for a column that is missing."""
        reader = f"align-anything's {of.name}"
        given = [(of.given, columns.need(c.GIVEN[of.given], reader))] if of.given else []
        asked = Asked(columns, c.QUESTION, given, reader)
        super().__init__(asked, tuple(_side(columns, of, n, reader) for n in (1, 2)))
        self.subtask = of
        self.winner = columns.need(of.winner, reader)
        self.rates = _rates(columns)
        self.models = [columns.find(c.numbered(c.MODEL, n)) for n in (1, 2)]
        self.overall = columns.find(c.OVERALL)
        self.critics = tuple(Critic(columns, n) for n in (1, 2))
        self.columns |= {self.winner, *filter(None, (*self.models, self.overall))}
        self.columns |= {name for both in self.rates.values() for name in both}
        self.columns |= {name for critic in self.critics for name in critic.columns}

    def left_out(self, row: Row, where: str) -> str:
        if choice(row, self.winner, where) is None:
            return f"{NO_WINNER} ({self.winner} is neither 1 nor 2)"
        return super().left_out(row, where)

    def record(self, row: Row, where: str, keeper: Keeper, kind: type[Record]) -> Record:
        order = (0, 1) if choice(row, self.winner, where) == 1 else (1, 0)
        chosen, rejected = (self.sides[i] for i in order)
        messages = self.asked.messages(row, where, keeper)
        metadata = self._metadata(row, where, order)
        if kind is Prompt:
            return Prompt(id="", messages=messages, metadata=metadata)
        answer = chosen.parts(row, where, keeper)
        if kind is Demonstration:
            return Demonstration(id="", messages=messages, answer=answer, metadata=metadata)
        return Pair(
            id="",
            messages=messages,
            chosen=answer,
            rejected=rejected.parts(row, where, keeper),
            rates=self._rated(row, where, order),
            feedback_chosen=self.critics[order[0]].read(row, where),
            feedback_rejected=self.critics[order[1]].read(row, where),
            metadata=metadata,
        )

    def _rated(self, row: Row, where: str, order: tuple[int, int]) -> dict[str, tuple[float, float]]:
        found = {}
        for dimension, names in self.rates.items():
            chosen, rejected = (number(row, names[i], where) for i in order)
            if chosen is not None and rejected is not None:
                found[dimension] = (chosen, rejected)
        return found

    def _metadata(self, row: Row, where: str, order: tuple[int, int]) -> dict[str, str]:
        columns = {
            "chosen_from": self.models[order[0]],
            "rejected_from": self.models[order[1]],
            "overall_feedback": self.overall,
        }
        said = {name: text(row, column, where) for name, column in columns.items() if column in row}
        return {"subtask": self.subtask.short, **{name: words for name, words in said.items() if words}}


class Critic:
    """Language feedback on answer n."""

    def __init__(self, columns: c.Columns, n: int) -> None:
        self.critiques = columns.all(c.numbered(c.CRITIQUE, n))
        self.refinements = columns.all(c.numbered(c.REFINEMENT, n))
        rationales = [name for name in columns.held if (m := c.RATIONALE.fullmatch(name)) and m[1] == str(n)]
        self.rationales = () if self.critiques else tuple(rationales)
        self.columns = (*self.critiques, *self.refinements, *self.rationales)

    def read(self, row: Row, where: str) -> Feedback | None:
        """None where the row has none. Without a column for it, the reasons of the rates are the critique."""
        said = [read(text(row, name, where)) for name in self.critiques if name in row]
        reasons = [text(row, name, where) for name in self.rationales if name in row]
        advice = [text(row, name, where) for name in self.refinements if name in row]
        critique = _joined([*(one.critique for one in said), *reasons])
        refinement = _joined([*(one.refinement for one in said), *advice])
        return Feedback(critique=critique, refinement=refinement) if critique or refinement else None


def _joined(texts: list[str]) -> str:
    return "\n".join(filter(None, (one.strip() for one in texts)))


def _side(columns: c.Columns, of: c.Subtask, n: int, reader: str) -> Side:
    words = columns.need(c.numbered(of.text, n), reader) if of.text else None
    medium = (of.made, columns.need(c.numbered(of.medium, n), reader)) if of.made else None
    return Side(words, medium)


def _rates(columns: c.Columns) -> dict[str, tuple[str, str]]:
    """By dimension: the columns of both answers' rates."""
    found: dict[str, dict[str, str]] = {}
    for name in columns.held:
        if match := c.RATE.fullmatch(name):
            found.setdefault(match[1], {})[match[2]] = name
    return {dimension: (by["1"], by["2"]) for dimension, by in found.items() if len(by) == 2}
