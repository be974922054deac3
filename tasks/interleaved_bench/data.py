"""InterleavedBench's files: `interleaved_bench.json`, and pictures in folders or in `zipped_images/*.zip`.

A record holds one conversation in which `<image>` stands for the next of its pictures and `<BEGIN>` for the
place where the model takes over: what is before it is asked, what is after it is how people went on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from eval_anything import records
from eval_anything.errors import DataError
from eval_anything.hub import download
from eval_anything.task import DataSource

REPOSITORY = "mqliu/InterleavedBench"
REVISION = "ce1a7c164c0e670aab674804e8b1b44fe59f55cf"
LICENCE = (
    "Apache-2.0 (the repository); the pictures are those of WikiHow, VIST, ActivityNet, MMC4, MagicBrush"
)
FILE = "interleaved_bench.json"
ZIPS = "zipped_images"
PUBLISHED = 815
IMAGE, BEGIN = "<image>", "<BEGIN>"
TRUTH = "truth.json"
_PLACES = ("", ZIPS, "images")
"""Folders, below the data set's own, that may hold the pictures' folders."""
_LAYOUT = f"{FILE}, and its pictures unpacked beside it or packed in {ZIPS}/NAME.zip"
_TOKENS = re.compile(f"({re.escape(IMAGE)}|{re.escape(BEGIN)})")


class Turn(msgspec.Struct, frozen=True):
    speaker: str = msgspec.field(name="from")
    value: str = ""


class Record(msgspec.Struct, frozen=True):
    """One record; fields besides these are not used."""

    id: str
    task_name: str
    conversations: tuple[Turn, ...]
    image: tuple[str, ...] | str = ()

    @property
    def images(self) -> tuple[str, ...]:
        """One path may stand alone, as in other data of this form; an empty one for none."""
        named = (self.image,) if isinstance(self.image, str) else self.image
        return tuple(name for name in named if name)


class Text(msgspec.Struct, frozen=True, tag="text"):
    text: str


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    path: str
    """As the record has it."""


Piece = Text | Picture


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One record, read."""

    id: str
    use_case: str
    """The record's task_name."""
    prompt: tuple[Piece, ...]
    """What the model is shown, in order."""
    truth: tuple[Piece, ...]
    """How the document went on; empty where the record does not say."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was opened."""

    items: tuple[Item, ...]
    pictures: dict[str, Path]
    """Where each picture of a prompt lies."""
    root: Path
    revision: str
    notes: tuple[str, ...] = ()


def locate(source: DataSource, revision: str) -> Found:
    """Find, read and check everything but the inside of the pictures.

    Raises DataError naming what is wrong.
    """
    root, notes = source.path, []
    if source.kind == "hub":
        patterns = [FILE, f"{ZIPS}/*.zip"]
        root = download(REPOSITORY, revision, patterns, kind="model", licence=LICENCE)
        notes.append(f"hub repository {REPOSITORY} at {revision}")
    assert root is not None
    records.check_folder(root, [FILE], [TRUTH], _LAYOUT)
    path = root / FILE
    held = records.records(path, records.json_rows(path, _LAYOUT), Record, "id")
    if source.kind == "hub":
        records.check_count(path, len(held), PUBLISHED, "records")
    records.check_unique(path, "id", (record.id for record in held))
    items = tuple(read(path, number, record) for number, record in enumerate(held))
    if left := sum(len(r.images) - _pictures(i) for r, i in zip(held, items, strict=True)):
        notes.append(f"{left} pictures are not shown: no {IMAGE} stands for them")
    where, media = _media(root, items)
    records.check_media(media.values())
    found = records.revision_of(items, _sizes(media))
    pictures = {name: medium.path for name, medium in media.items()}
    return Found(items=items, pictures=pictures, root=where, revision=found, notes=tuple(notes))


def read(path: Path, number: int, record: Record) -> Item:
    """The record as prompt and truth. Raises DataError where more pictures are asked for than it has."""
    where = records.place(path, number, record, "id")
    if not record.conversations:
        raise DataError(f"{where}: conversations is empty, expected a turn from human")
    human, rest = record.conversations[0], record.conversations[1:]
    if human.speaker != "human":
        raise DataError(f"{where}: the first turn is from {human.speaker!r}, expected human")
    whole = "\n".join(turn.value for turn in record.conversations)
    before, marker, after = whole.partition(BEGIN)
    if not marker:
        before, after = human.value, "\n".join(turn.value for turn in rest)
    pictures = iter(record.images)
    prompt = tuple(_pieces(before, pictures, where))
    if not prompt:
        raise DataError(f"{where}: nothing is asked before {BEGIN}")
    truth = tuple(_pieces(after.replace(BEGIN, ""), pictures, where))
    return Item(id=record.id, use_case=record.task_name, prompt=prompt, truth=truth)


def text_free(item: Item) -> bool:
    """Whether only pictures are asked for: image editing and subject-driven generation.

    Told by the name of the use case, or by the source of the pictures (MagicBrush, multi-concept).
    """
    sources = {PurePosixPath(piece.path).parts[0] for piece in item.prompt if isinstance(piece, Picture)}
    return bool(_EDITING.search(item.use_case)) or any(_EDITING.search(source) for source in sources)


_EDITING = re.compile(r"edit|subject|magic_?brush|multi_?concept", re.IGNORECASE)


def _pieces(text: str, pictures: Iterator[str], where: str) -> Iterator[Piece]:
    for token in _TOKENS.split(text):
        if token == IMAGE:
            name = next(pictures, None)
            if name is None:
                raise DataError(f"{where}: more {IMAGE} in its conversations than pictures in image")
            yield Picture(_safe(name, where))
        elif token.strip():
            yield Text(token.strip())


def _safe(name: str, where: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise DataError(f"{where}: image {name!r} leads out of the data set")
    return name


def _pictures(item: Item) -> int:
    return sum(isinstance(piece, Picture) for piece in (*item.prompt, *item.truth))


def _media(root: Path, items: Sequence[Item]) -> tuple[Path, dict[str, records.Medium]]:
    """The folder that holds all pictures of the prompts, and where each of them lies in it."""
    wanted = {piece.path: item.id for item in items for piece in item.prompt if isinstance(piece, Picture)}
    folders = sorted({PurePosixPath(name).parts[0] for name in wanted})
    lacking = [folder for folder in folders if not any((root / p / folder).exists() for p in _PLACES)]
    where, places = root, [root / place for place in _PLACES]
    if lacking:
        where, places = _unpacked(root, folders, lacking[0])
    media = {}
    for name, item in wanted.items():
        inner = PurePosixPath(*PurePosixPath(name).parts[1:])
        paths = [place / name for place in places] + [place / inner for place in places if lacking]
        path = next((path for path in paths if path.is_file()), paths[0])
        media[name] = records.Medium(path, "image", f"record {item}")
    return where, media


def _sizes(media: dict[str, records.Medium]) -> bytes:
    """Names and sizes of the pictures, wherever they lie: other pictures under the same records are other
    data."""
    return "\n".join(f"{name}\0{media[name].path.stat().st_size}" for name in sorted(media)).encode()


def _unpacked(root: Path, folders: Sequence[str], lacking: str) -> tuple[Path, list[Path]]:
    """The cache folder, and where in it each archive was unpacked."""
    from eval_anything.media.archive import unpack_cached  # listing tasks should not wait for it

    places = []
    for folder in folders:
        archive = root / ZIPS / f"{folder}.zip"
        if not archive.is_file():
            raise DataError(f"{archive}: not there, nor the folder {root / lacking}; expected {_LAYOUT}")
        places.append(unpack_cached(archive, "interleaved_bench"))
    return places[0].parent, places


Subset = Literal["all", "context-based", "context-free"]


def in_subset(item: Item, subset: Subset) -> bool:
    """context-free: the prompt is text alone."""
    free = all(isinstance(piece, Text) for piece in item.prompt)
    return subset == "all" or (subset == "context-free") == free
