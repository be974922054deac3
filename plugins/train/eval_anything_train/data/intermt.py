"""InterMT (arXiv 2505.23950): conversations of text and images, with two continuations of their last turn.

The form of a row is that which InterMT-Bench's own loader of pairs reads:

    front_convs               the turns before: round, prompt, prompt_images, response, response_images
    paired_convs              the turn in question: prompt, prompt_images, response_1, response_1_images, ...
    local_overall_preference  by dimension which response is better: 1, 2, or 0 for neither
    overall_preference        the same for whole conversations (global)

Whether `local_prefernce.parquet` (sic) of the data set has the same columns could not be verified: other ones
are an error that names them. Cells may be JSON text. Which response is preferred overall is not said: it is
the one that more of the dimensions prefer, or that which one of them prefers (`preference`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError, UnknownName
from eval_anything.records import place, record
from eval_anything.suggest import unknown
from eval_anything.values import Message, Part, Text
from eval_anything_train.data import files, tables
from eval_anything_train.data.annotated import EMPTY, NO_WINNER, NOTHING_ASKED, Left
from eval_anything_train.data.columns import Columns
from eval_anything_train.data.media import Keeper, Places
from eval_anything_train.data.reader import About, Item, Reader
from eval_anything_train.values import Pair, Record

LOCAL = (
    "local_image_text_consistency",
    "visual_perceptual_quality",
    "context_coherence",
    "text_quality",
)
"""L1 to L4."""
GLOBAL = (
    "context_awareness",
    "helpfulness",
    "crucial_step_recognition",
    "global_image_text_consistency",
    "style_coherence",
)
"""G1 to G5."""
_PREFERENCES = ("local_overall_preference", "overall_preference")
_CELLS = ("front_convs", "paired_convs")
_READER = "InterMT's form of pairs"
_Images = list[Any] | None


class _Turn(msgspec.Struct, frozen=True):
    prompt: str
    response: str
    prompt_images: _Images = None
    response_images: _Images = None


class _Paired(msgspec.Struct, frozen=True):
    prompt: str
    response_1: str
    response_2: str
    prompt_images: _Images = None
    response_1_images: _Images = None
    response_2_images: _Images = None


class _Row(msgspec.Struct, frozen=True):
    paired_convs: _Paired
    preference: dict[str, int | None]
    front_convs: list[_Turn] | None = None


class InterMT(Reader):
    """Pairs whose prompt is the conversation so far."""

    def __init__(self, path: Path, split: str, preference: str | None) -> None:
        """Raises UnknownName for a dimension that is none of them, DataError where there are no files."""
        if preference is not None and preference not in (*LOCAL, *GLOBAL):
            raise UnknownName(f"intermt: {unknown('preference', preference, (*LOCAL, *GLOBAL))}")
        self.preference = preference
        found, _ = files.find(path, None, split)
        folder = found[0].parent
        packed = [partial(Path, archive) for archive in files.archives(folder)]
        self._keeper = Keeper(Places([folder], packed, trusted=True))
        said = f"{preference} says" if preference else "most dimensions say"
        self.about = About(
            name=f"intermt:{path}",
            files=tuple(found),
            options={"preference": preference or ""},
            notes=(f"InterMT: the chosen response is the one that {said}",),
        )

    def items(self, kind: type[Any]) -> Iterator[Item]:
        for path in self.about.files:
            columns = Columns(path, tables.columns(path))
            needed = {columns.need((name,), _READER) for name in _CELLS}
            preference = columns.need(_PREFERENCES, _READER)
            own = columns.find(("id",))
            for number, row in tables.rows(path, {*needed, preference, *filter(None, (own,))}):
                where = place(path, number, row, "id")
                cells = {name: _cell(row.get(name), name, where) for name in (*_CELLS, preference)}
                read = record(path, number, {**cells, "preference": cells[preference]}, _Row)
                made = self._made(read, where)
                if isinstance(made, Pair):
                    made = msgspec.structs.replace(made, id=tables.row_id(row, path, number))
                yield Item(number, where, made)

    def _made(self, row: _Row, where: str) -> Record | Left:
        better = self._better(row.preference)
        if better is None:
            return Left(f"{NO_WINNER} (its dimensions prefer neither response)")
        turn = row.paired_convs
        sides = [
            self._parts(turn.response_1, turn.response_1_images, where),
            self._parts(turn.response_2, turn.response_2_images, where),
        ]
        asked = self._parts(turn.prompt, turn.prompt_images, where)
        if not all(sides):
            return Left(EMPTY)
        if not asked:
            return Left(NOTHING_ASKED)
        messages = [
            message
            for before in row.front_convs or ()
            for message in (
                Message("user", self._parts(before.prompt, before.prompt_images, where)),
                Message("assistant", self._parts(before.response, before.response_images, where)),
            )
        ]
        names = {better: "chosen", 3 - better: "rejected"}
        return Pair(
            id="",
            messages=(*messages, Message("user", asked)),
            chosen=sides[better - 1],
            rejected=sides[2 - better],
            metadata={"preferences": {name: names.get(n or 0, "tie") for name, n in row.preference.items()}},
        )

    def _better(self, said: dict[str, int | None]) -> int | None:
        """1, 2, or None where neither is."""
        if self.preference is not None:
            found = said.get(self.preference)
            return found if found in (1, 2) else None
        votes = list(said.values())
        lead = votes.count(1) - votes.count(2)
        return None if lead == 0 else 1 if lead > 0 else 2

    def _parts(self, words: str, images: _Images, where: str) -> Any:
        """Images, then words, as InterMT-Bench shows them."""
        parts: list[Part] = [*self._keeper.files(images or [], "image", where)]
        return (*parts, *((Text(words.strip()),) if words.strip() else ()))


def _cell(value: Any, name: str, where: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.MsgspecError as fault:
        raise DataError(f"{where}: {name} is text that is no JSON: {fault}") from None
