"""Video-ChatGPT's files: three lists of questions and a folder of videos.

Two layouts are read: the project's own (`generic_qa.json`, `temporal_qa.json`, `consistency_qa.json`, and the
videos in `Test_Videos/`, `videos/` or beside them), and that of the hub's mirror (`Generic/`, `Temporal/`,
`Consistency/` with parquet files, and `videos.zip`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from eval_anything import records
from eval_anything.errors import DataError
from eval_anything.hub import download
from eval_anything.task import DataSource

REPOSITORY = "lmms-lab/VideoChatGPT"
REVISION = "b01bcd8f02aff65c20de63b579f2086307f7c4ed"
"""Main's commit bf86a78, with a tag added to its card (the hub's pull request 2)."""
LICENCE = "CC BY-NC-SA 4.0 (the project); the mirror says MIT"
Part = Literal["generic", "temporal", "consistency"]
PARTS: tuple[Part, ...] = get_args(Part)
PUBLISHED: Mapping[Part, int] = {"generic": 1996, "temporal": 499, "consistency": 499}
"""Items of each part; an item of consistency has two questions."""
VIDEO_FOLDERS = ("Test_Videos", "videos", ".")
SUFFIXES = (".mp4", ".avi", ".mov", ".mkv")
"""In the order in which the published scripts look for them."""
TRUTH = "truth.json"
_LAYOUT = (
    "the project's files (generic_qa.json, temporal_qa.json, consistency_qa.json, and the videos in"
    " Test_Videos/) or the mirror's (Generic/, Temporal/, Consistency/ with parquet files, and videos.zip)"
)
_ARCHIVE = "videos.zip"
_FILLER = "None"
"""What the mirror's consistency rows have in place of the question that they do not ask."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item: a question about a video, or two that have one answer."""

    id: str
    """The part, and the published scripts' key: the video's name and how many came before it in the part."""
    part: Part
    video: str
    questions: tuple[str, ...]
    answer: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was opened."""

    items: tuple[Item, ...]
    """Video by video, in the order in which the files name them."""
    videos: Mapping[str, Path]
    root: Path
    """All videos lie below it."""
    revision: str
    note: str = ""


class _Question(msgspec.Struct, frozen=True):
    video_name: str
    Q: str
    A: str


class _Pair(msgspec.Struct, frozen=True):
    video_name: str
    Q1: str
    Q2: str
    A: str


class _MirrorQuestion(msgspec.Struct, frozen=True):
    video_name: str
    question: str
    answer: str


class _MirrorPair(msgspec.Struct, frozen=True):
    video_name: str
    question_1: str
    question_2: str
    answer: str


class _Row(msgspec.Struct, frozen=True):
    """One row of either layout."""

    video: str
    questions: tuple[str, ...]
    answer: str


def locate(source: DataSource, revision: str) -> Found:
    """Find, read and check everything but the inside of the videos. Raises DataError naming what is wrong."""
    root, note = source.path, ""
    if source.kind == "hub":
        patterns = [*(f"{part.capitalize()}/*.parquet" for part in PARTS), _ARCHIVE]
        root = download(REPOSITORY, revision, patterns, licence=LICENCE)
        note = f"hub data set {REPOSITORY} at {revision}"
    assert root is not None
    mirror = all((root / part.capitalize()).is_dir() for part in PARTS)
    files = _mirror_files(root) if mirror else _own_files(root)
    rows = {part: _mirror_rows(part, files[part]) if mirror else _rows(part, files[part]) for part in PARTS}
    if source.kind == "hub":
        for part in PARTS:
            records.check_count(files[part], len(rows[part]), PUBLISHED[part], "items")
    items = _by_video([item for part in PARTS for item in _items(part, rows[part])])
    wanted: dict[str, str] = {}
    for item in items:
        wanted.setdefault(item.video, item.id)
    where, media = _videos(root, wanted)
    records.check_media(media)
    videos = {medium.path.stem: medium.path for medium in media}
    found = records.revision_of(items, records.sizes_of(media, where))
    return Found(items=items, videos=videos, root=where, revision=found, note=note)


def _own_files(root: Path) -> dict[Part, Path]:
    names = {part: f"{part}_qa.json" for part in PARTS}
    records.check_folder(root, list(names.values()), [TRUTH], _LAYOUT)
    return {part: root / name for part, name in names.items()}


def _mirror_files(root: Path) -> dict[Part, Path]:
    records.check_folder(root, [part.capitalize() for part in PARTS], [], _LAYOUT)
    found: dict[Part, Path] = {}
    for part in PARTS:
        files = sorted((root / part.capitalize()).glob("*.parquet"))
        if len(files) != 1:
            said = "no" if not files else f"{len(files)}"
            raise DataError(f"{root / part.capitalize()}: {said} parquet files, expected one: {_LAYOUT}")
        found[part] = files[0]
    return found


def _rows(part: Part, path: Path) -> list[_Row]:
    held = records.json_rows(path, _LAYOUT)
    if part == "consistency":
        pairs = records.records(path, held, _Pair, "video_name")
        return [_Row(pair.video_name, (pair.Q1, pair.Q2), pair.A) for pair in pairs]
    questions = records.records(path, held, _Question, "video_name")
    return [_Row(question.video_name, (question.Q,), question.A) for question in questions]


def _mirror_rows(part: Part, path: Path) -> list[_Row]:
    if part == "consistency":
        names = _MirrorPair.__struct_fields__
        return _paired(path, records.parquet_rows(path, _LAYOUT, names))
    held = records.parquet_rows(path, _LAYOUT, _MirrorQuestion.__struct_fields__)
    questions = records.records(path, held, _MirrorQuestion, "video_name")
    return [_Row(question.video_name, (question.question,), question.answer) for question in questions]


def _paired(path: Path, rows: Sequence[object]) -> list[_Row]:
    """Rows that ask one question each, as rows that ask two: a video's nth first question with its nth second
    one, whose answer they share. Raises DataError where one of them is alone."""
    first: defaultdict[str, list[tuple[int, _MirrorPair]]] = defaultdict(list)
    second: defaultdict[str, list[tuple[int, _MirrorPair]]] = defaultdict(list)
    for number, row in enumerate(records.records(path, rows, _MirrorPair, "video_name")):
        asks = [question != _FILLER for question in (row.question_1, row.question_2)]
        if sum(asks) != 1:
            where = records.place(path, number, row, "video_name")
            raise DataError(f"{where}: expected question_1 or question_2, and {_FILLER!r} in the other")
        (first if asks[0] else second)[row.video_name].append((number, row))
    found = []
    for video in first | second:
        ones, twos = first[video], second[video]
        if len(ones) != len(twos):
            number, row = (ones if len(ones) > len(twos) else twos)[min(len(ones), len(twos))]
            raise DataError(
                f"{records.place(path, number, row, 'video_name')}: its other question is not there"
            )
        found += [
            (number, _Row(video, (one.question_1, two.question_2), one.answer))
            for (number, one), (_, two) in zip(ones, twos, strict=True)
        ]
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _items(part: Part, rows: Sequence[_Row]) -> Iterator[Item]:
    counts: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        key = f"{part}/{row.video}_{counts[row.video]}"
        counts[row.video] += 1
        yield Item(id=key, part=part, video=row.video, questions=row.questions, answer=row.answer)


def _by_video(items: Sequence[Item]) -> tuple[Item, ...]:
    """Video by video, so that the first n samples have every part; the parts of a video in turn."""
    grouped: defaultdict[str, defaultdict[Part, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        grouped[item.video][item.part].append(item)
    ordered: list[Item] = []
    for parts in grouped.values():
        longest = max(len(some) for some in parts.values())
        for turn in range(longest):
            ordered += [parts[part][turn] for part in PARTS if turn < len(parts[part])]
    return tuple(ordered)


def _videos(root: Path, wanted: Mapping[str, str]) -> tuple[Path, list[records.Medium]]:
    """The folder that holds all videos, and the file of each of `wanted` (name of the video, and an item that
    asks about it)."""
    held = _held([root / name for name in VIDEO_FOLDERS if (root / name).is_dir()])
    where = root
    if not held and (root / _ARCHIVE).is_file():
        from eval_anything.media.archive import unpack_cached  # listing tasks should not wait for it

        where = unpack_cached(root / _ARCHIVE, "video_chatgpt")
        held = _held([where, *(folder for folder in sorted(where.rglob("*")) if folder.is_dir())])
    media = []
    for name, item in wanted.items():
        if name not in held:
            suffixes = ", ".join(SUFFIXES)
            raise DataError(
                f"{where}: no video {name!r} ({suffixes}), which item {item} asks about; expected {_LAYOUT}"
            )
        media.append(records.Medium(held[name], "video", f"item {item}"))
    return where, media


def _held(folders: Sequence[Path]) -> dict[str, Path]:
    """Videos by their names without suffix; of two with one name, the one whose suffix comes first."""
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    known = [file for file in files if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    known.sort(key=lambda file: SUFFIXES.index(file.suffix.lower()))
    found: dict[str, Path] = {}
    for file in known:
        found.setdefault(file.stem, file)
    return found
