"""The forms in which rows state preferences, refinements, critiques and answers, told by their columns.

| form         | columns                                                          | gives          |
|--------------|------------------------------------------------------------------|----------------|
| annotated    | two answers and a winner, as `columns.SUBTASKS` has them         | pairs          |
| refined      | response, refinement (the better one), and a critique if any     | pairs          |
| stated       | chosen, rejected; or better_text, worse_text, better_img, ...    | pairs          |
| judged       | response_1, response_2, feedback on both; no winner              | demonstrations |
| demonstrated | response, answer, output or output_text                          | demonstrations |

All have a `question` or `prompt` (or `input_text`) and, where it is about one, the medium. The second and the
fourth are those of align-anything's language feedback (AA_TI2T_LLF, AA_TA2T_LLF; AA_textfeedback).
"""

from __future__ import annotations

from eval_anything.values import Message, Modality, Text
from eval_anything_train.data import columns as c
from eval_anything_train.data.annotated import Annotated, Form
from eval_anything_train.data.cells import Asked, Row, Side, text
from eval_anything_train.data.media import Keeper
from eval_anything_train.feedback import read
from eval_anything_train.values import Demonstration, Feedback, Pair, Record

_ASKED = (*c.QUESTION, "input_text")
_ANSWER = ("response", "answer", "output", "output_text")


class Compared(Form):
    """A better and a worse answer; where there is a column for it, language feedback on the worse one."""

    def __init__(self, asked: Asked, sides: tuple[Side, Side], critique: str | None = None) -> None:
        super().__init__(asked, sides)
        self.critique = critique
        self.columns |= {critique} if critique else set()

    def record(self, row: Row, where: str, keeper: Keeper, kind: type[Record]) -> Record:
        said = read(text(row, self.critique, where)) if self.critique in row else Feedback()
        return Pair(
            id="",
            messages=self.asked.messages(row, where, keeper),
            chosen=self.sides[0].parts(row, where, keeper),
            rejected=self.sides[1].parts(row, where, keeper),
            feedback_rejected=said if said.text else None,
        )


class Judged(Form):
    """Feedback that compares two answers: to be learnt as the answer to a question about both."""

    pairs = False

    def __init__(self, asked: Asked, sides: tuple[Side, Side], feedback: str) -> None:
        super().__init__(asked, sides)
        self.feedback = Side(feedback)
        self.columns.add(feedback)

    def left_out(self, row: Row, where: str) -> str:
        return "the feedback is empty" if self.feedback.empty(row, where) else super().left_out(row, where)

    def record(self, row: Row, where: str, keeper: Keeper, kind: type[Record]) -> Record:
        first, second = (side.parts(row, where, keeper) for side in self.sides)
        parts = (
            Text("Compare two responses to one question: which is better, and why?\n##Question: "),
            *self.asked.parts(row, where, keeper),
            *(Text("\n##Response 1: "), *first, Text("\n##Response 2: "), *second),
        )
        answer = self.feedback.parts(row, where, keeper)
        return Demonstration(id="", messages=(Message("user", parts),), answer=answer)


class Demonstrated(Form):
    """One answer, to be imitated."""

    pairs = False

    def __init__(self, asked: Asked, side: Side) -> None:
        super().__init__(asked, (side,))

    def record(self, row: Row, where: str, keeper: Keeper, kind: type[Record]) -> Record:
        messages = self.asked.messages(row, where, keeper)
        return Demonstration(id="", messages=messages, answer=self.sides[0].parts(row, where, keeper))


def form_of(columns: c.Columns, of: c.Subtask | None) -> Form:
    """The form of a file. `of`: the subtask of its annotated pairs; None: told by the columns.

    Raises DataError naming what is missing.
    """
    has_winner = columns.find(name for subtask in c.SUBTASKS.values() for name in subtask.winner)
    other = None if has_winner else _other(columns)
    return other or Annotated(columns, of or c.recognise(columns))


def _other(columns: c.Columns) -> Form | None:
    if columns.find(_ASKED) is None:
        return None
    given = [(modality, name) for modality, names in c.GIVEN.items() if (name := columns.find(names))]
    asked = Asked(columns, _ASKED, given, "")
    held = set(columns.held)
    if held >= {"refinement", "response"}:
        critique = columns.find(("critique", "feedback"))
        return Compared(asked, (Side("refinement"), Side("response")), critique)
    for better, worse in (("chosen", "rejected"), ("better_text", "worse_text")):
        if held >= {better, worse}:
            return Compared(asked, (_with_image(columns, better), _with_image(columns, worse)))
    if held >= {"response_1", "response_2", "feedback"}:
        both = (_with_image(columns, "response_1"), _with_image(columns, "response_2"))
        return Judged(asked, both, "feedback")
    answer = columns.find(_ANSWER)
    return Demonstrated(asked, _with_image(columns, answer)) if answer else None


_IMAGES = {
    "better_text": ("better_img", "better_image"),
    "worse_text": ("worse_img", "worse_image"),
    "response_1": ("output_image_url_1", "output_image_1"),
    "response_2": ("output_image_url_2", "output_image_2"),
} | dict.fromkeys(_ANSWER, ("output_image", "output_image_url"))
"""By the column of an answer's text: those of its image."""


def _with_image(columns: c.Columns, words: str) -> Side:
    modality: Modality = "image"
    name = columns.find(_IMAGES.get(words, ()))
    return Side(words, (modality, name) if name else None)
