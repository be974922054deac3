"""The two kinds of line in a journal: a finished response, a finished score."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from eval_anything.values import Response, Sample, Score


class ResponseRow(msgspec.Struct, frozen=True, kw_only=True, tag="response", tag_field="kind"):
    """What was asked (the whole sample, as masked) and what came back."""

    task: str
    id: str
    repeat: int
    fingerprint: str
    """Of task, model, judge and parameters: rows of another fingerprint are never mixed in."""
    time: float
    """Seconds since the epoch at which the row was written."""
    sample: Sample
    response: Response


class ScoreRow(msgspec.Struct, frozen=True, kw_only=True, tag="score", tag_field="kind"):
    """The verdict on the response of the same task, id and repeat. A later row replaces an earlier one."""

    task: str
    id: str
    repeat: int
    fingerprint: str
    time: float
    group: str = ""
    cluster: str = ""
    score: Score


S = TypeVar("S", bound=msgspec.Struct)
Row = ResponseRow | ScoreRow
Key = tuple[str, str, int]


def as_read(value: object, kind: type[S]) -> S:
    """`value` as readers of the journal will find it.

    Raises TypeError, ValueError or msgspec.MsgspecError for what could not be read back: types are hints to
    a plug-in, and one wrong row would make the whole journal unreadable.
    """
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def key(row: Row) -> Key:
    return (row.task, row.id, row.repeat)
