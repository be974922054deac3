"""Names of align-anything's columns and files, by subtask.

Sources: the data set's cards on the hub (columns and files of t2t, ti2t, ta2t, tv2t, t2a; answers of t2i) and
align-anything's own readers. What neither says could not be verified: those names are marked below, stand
beside likely others, and are all accepted; the first of each list is what the twin writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from eval_anything.errors import DataError, UnknownName
from eval_anything.suggest import nearest, unknown
from eval_anything.values import Modality

QUESTION = ("question", "prompt")
"""What is asked: `question` in t2t, ti2t and ti2ti, `prompt` in the others; each is accepted everywhere."""
GIVEN: dict[Modality, tuple[str, ...]] = {
    "image": ("image", "image_url", "image_path", "images", "input_image"),
    "audio": ("audio_path", "audio"),
    "video": ("video_path", "video"),
}
"""The medium that a question is about."""
RATE = re.compile(r"(\w+)_rate_([12])")
"""`clarity_rate_1`: how answer 1 was rated in clarity, 0 to 3."""
RATIONALE = re.compile(r"\w+_rationale_([12])")
"""`c_rationale_1`: why."""
MODEL = ("res_{n}_from", "model_{n}", "image_{n}_model", "video_{n}_model", "audio_{n}_model")
"""Which model gave answer n."""
_OF = ("text", "image", "audio", "video", "response")
CRITIQUE = (
    "text_critique_{n}",  # tv2t
    "text_{n}_feedback",  # t2a
    # Not verified, for the other subtasks:
    *(f"{of}_critique_{{n}}" for of in _OF if of != "text"),
    *(f"{of}_{{n}}_feedback" for of in _OF if of != "text"),
    *(f"{of}_feedback_{{n}}" for of in _OF),
    "critique_{n}",
    "feedback_{n}",
)
"""Language feedback on answer n, `##Critique: ... ##Refinement: ...`; several (on an answer's text and on its
image) are put together."""
REFINEMENT = ("refinement_{n}", *(f"{of}_refinement_{{n}}" for of in _OF))
"""Not verified: suggestions in a column of their own."""
OVERALL = ("overall_textfeedback", "overall_feedback")
"""Why the better answer is better; kept as metadata."""


class Subtask(msgspec.Struct, frozen=True, kw_only=True):
    """One of the eight parts of the data set."""

    name: str
    short: str
    given: Modality | None = None
    """The medium of the prompt, besides text."""
    text: tuple[str, ...] = ()
    """Columns that may hold the text of answer n; none: answers have no text."""
    made: Modality | None = None
    """The medium of an answer."""
    medium: tuple[str, ...] = ()
    """Columns that may hold it."""
    winner: tuple[str, ...]
    """Columns that may say which answer is better: 1 or 2."""
    splits: Mapping[str, tuple[str, ...]]
    """Files on the hub, by split."""
    archives: tuple[str, ...] = ()
    """Archives on the hub that hold media which the rows name."""
    by_hand: str = ""
    """Why its media cannot be fetched for the user."""


_TEXT = ("response_{n}",)
_WINNER = ("overall_response",)
_BOTH: Mapping[str, tuple[str, ...]] = {"train": ("train_*.parquet",), "val": ("val_*.parquet",)}
_SUBTASKS = (
    Subtask(name="text-to-text", short="t2t", text=_TEXT, winner=_WINNER, splits=_BOTH),
    Subtask(name="text-image-to-text", short="ti2t", given="image", text=_TEXT, winner=_WINNER, splits=_BOTH),
    Subtask(name="text-audio-to-text", short="ta2t", given="audio", text=_TEXT, winner=_WINNER, splits=_BOTH),
    Subtask(
        name="text-video-to-text",
        short="tv2t",
        given="video",
        text=_TEXT,
        winner=_WINNER,
        splits={"train": ("train_*.parquet", "train_*.json")},
        archives=("videos.tar.gz",),
    ),
    Subtask(
        name="text-to-image",
        short="t2i",
        made="image",
        medium=("image_{n}", "response_{n}"),
        winner=("overall_image", *_WINNER, "overall"),  # not verified
        splits=_BOTH,
    ),
    Subtask(
        name="text-to-audio",
        short="t2a",
        made="audio",
        medium=("response_{n}", "audio_{n}"),
        winner=("overall_audio",),
        splits={"train": ("train_*.parquet",)},
    ),
    Subtask(
        name="text-to-video",
        short="t2v",
        made="video",
        medium=("video_{n}", "video_{n}_path", "video_path_{n}", "response_{n}"),  # not verified
        winner=("overall_video", *_WINNER, "overall"),  # not verified
        splits={"train": ("*_train.json",)},
        by_hand="its videos are one archive of 100 GB in pieces (videos.tar.gz0, 1, 2): join and unpack them",
    ),
    Subtask(
        name="text-image-to-text-image",
        short="ti2ti",
        given="image",
        text=_TEXT,
        made="image",
        # As align-anything reads its critiques of such pairs; the others are not verified.
        medium=("output_image_url_{n}", "output_image_{n}", "response_{n}_image", "image_{n}"),
        winner=(*_WINNER, "overall_image", "overall"),  # not verified
        splits={"train": ("train_*.json",)},
        archives=("images.tar.gz",),
    ),
)
SUBTASKS: dict[str, Subtask] = {key: s for s in _SUBTASKS for key in (s.name, s.short)}
"""By their names on the hub ("text-image-to-text") and by the short ones ("ti2t")."""


def subtask(name: str) -> Subtask:
    """Raises UnknownName with the nearest right one."""
    if (found := SUBTASKS.get(name)) is None:
        raise UnknownName(f"align-anything: {unknown('subtask', name, SUBTASKS)}; short: {_shorts()}")
    return found


def _shorts() -> str:
    return ", ".join(f"{s.short} ({s.name})" for s in _SUBTASKS)


def numbered(names: Iterable[str], n: int) -> tuple[str, ...]:
    """The column names of answer `n`."""
    return tuple(name.format(n=n) for name in names)


class Columns:
    """The columns of one file."""

    def __init__(self, path: Path, held: Sequence[str]) -> None:
        self.path = path
        self.held = tuple(held)
        self._held = frozenset(held)

    def find(self, names: Iterable[str]) -> str | None:
        """The first of `names` that is there."""
        return next((name for name in names if name in self._held), None)

    def all(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self._held)

    def need(self, names: Sequence[str], reader: str) -> str:
        """The same. Raises DataError naming what `reader` looks for, the nearest column, and all of them."""
        if (found := self.find(names)) is not None:
            return found
        lacking = f"{self.path}: no column {names[0]!r}"
        if len(names) > 1:
            lacking += f" (nor {', '.join(names[1:])})"
        close = next((hit for name in names if (hit := nearest(name, self.held))), None)
        hint = f"; the nearest is {close!r}" if close else ""
        raise DataError(f"{lacking}, which {reader} has{hint}; the file has: {', '.join(self.held)}")


def required(of: Subtask) -> list[tuple[str, ...]]:
    """What rows of `of` must have: for each column the names that it may have."""
    wanted: list[tuple[str, ...]] = [QUESTION]
    if of.given:
        wanted.append(GIVEN[of.given])
    for n in (1, 2):
        wanted += [numbered(names, n) for names in (of.text, of.medium) if names]
    return [*wanted, of.winner]


def recognise(columns: Columns) -> Subtask:
    """The subtask whose columns a file has. Raises DataError where it is none of them."""

    def fit(of: Subtask) -> tuple[int, int]:
        found = [columns.find(names) for names in required(of)]
        if None in found:
            return 0, 0
        first = sum(name == names[0] for name, names in zip(found, required(of), strict=True))
        return len(set(found)), first

    best = max(_SUBTASKS, key=fit)
    if fit(best) == (0, 0):
        raise DataError(
            f"{columns.path}: its columns are those of no subtask of align-anything:"
            f" {', '.join(columns.held)}; say which it is meant to be: {_shorts()}"
        )
    return best
