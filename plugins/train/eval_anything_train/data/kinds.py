"""One kind of record made of another: what a pair says of its parts."""

from __future__ import annotations

from eval_anything.errors import DataError
from eval_anything_train.feedback import critiques
from eval_anything_train.values import Critiqued, Demonstration, Labelled, Pair, Prompt, Record


def convert(record: Record, kind: type[Record], where: str) -> tuple[Record, ...]:
    """`record` as records of `kind`.

    A pair is a demonstration of its chosen answer, two labelled answers, a prompt, and as many critiques as
    it has feedback on its answers (none, perhaps). A labelled, demonstrated or criticised answer is a prompt.
    Raises DataError where `kind` cannot be made of it.
    """
    if isinstance(record, kind):
        return (record,)
    if kind is Prompt:
        return (Prompt(id=record.id, messages=record.messages, metadata=record.metadata),)
    if isinstance(record, Pair):
        if kind is Critiqued:
            return critiques(record)
        if kind is Demonstration:
            return (_demonstration(record),)
        if kind is Labelled:
            return _labelled(record)
    raise DataError(f"{where}: a {_name(type(record))}, and {_name(kind)}s were asked for")


def _demonstration(pair: Pair) -> Demonstration:
    return Demonstration(id=pair.id, messages=pair.messages, answer=pair.chosen, metadata=pair.metadata)


def _labelled(pair: Pair) -> tuple[Labelled, ...]:
    sides = (("chosen", pair.chosen, True), ("rejected", pair.rejected, False))
    return tuple(
        Labelled(
            id=f"{pair.id}/{name}",
            messages=pair.messages,
            answer=answer,
            desirable=desirable,
            metadata=pair.metadata,
        )
        for name, answer, desirable in sides
    )


def _name(kind: type[Record]) -> str:
    return (
        "critique" if kind is Critiqued else "labelled answer" if kind is Labelled else kind.__name__.lower()
    )
