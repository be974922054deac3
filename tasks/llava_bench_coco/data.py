"""LLaVA-Bench (COCO): the original's files, or the hub's mirror of them.

Original (github.com/haotian-liu/LLaVA), three files and a folder of COCO's images side by side:

    qa90_questions.jsonl                 question_id, image, text, category
    qa90_gpt4_answer.jsonl               question_id, text: the reference answers
    caps_boxes_coco2014_val_80.jsonl     image, captions, instances [{category, bbox}]
    val2014/COCO_val2014_000000441147.jpg ...

Mirror (lmms-lab/llava-bench-coco): data/train-*.parquet with embedded images and captions, without boxes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import msgspec

from eval_anything.errors import DataError
from eval_anything.home import home
from eval_anything.hub import download
from eval_anything.records import (
    Embedded,
    Medium,
    check_count,
    check_folder,
    check_media,
    check_unique,
    json_rows,
    parquet_records,
    place,
    records,
    revision_of,
    sizes_of,
    write_embedded,
)
from eval_anything.task import DataSource

REPOSITORY = "lmms-lab/llava-bench-coco"
REVISION = "main"
LICENCE = "images of COCO (Flickr terms), answers of GPT-4 (non-commercial), LLaVA Apache-2.0"
PUBLISHED = 90
Category = Literal["conv", "detail", "complex"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
QUESTIONS, ANSWERS = "qa90_questions.jsonl", "qa90_gpt4_answer.jsonl"
CONTEXT = "caps_boxes_coco2014_val_80.jsonl"
IMAGES = "val2014"
PREFIX = "COCO_val2014_"
"""Of the names of COCO's files; the questions name them without it."""
_SHARDS = "data/train-*.parquet"
_NO_BOXES = "the mirror has no bounding boxes: the judge is shown the captions alone"
_EXPECTED = (
    f"the original's files ({QUESTIONS}, {ANSWERS}, {CONTEXT}, and the images in {IMAGES}/), or the mirror's"
    f" ({_SHARDS})"
)

S = TypeVar("S", bound=msgspec.Struct)


class Item(msgspec.Struct, frozen=True):
    """One question, from whichever source."""

    question_id: str
    question: str
    category: Category
    image: str
    """Name of the image; three questions share one."""
    reference: str
    captions: str
    """A line each."""
    boxes: str = ""
    """A line for each object, "name: [x1, y1, x2, y2]" in fractions; empty where they are not known."""


class Opened(msgspec.Struct, frozen=True):
    items: tuple[Item, ...]
    images: dict[str, str]
    """question_id -> file of its image."""
    root: Path
    """The images lie below it."""
    revision: str
    notes: tuple[str, ...] = ()


class _Question(msgspec.Struct, frozen=True):
    question_id: str
    image: Annotated[str, msgspec.Meta(pattern=r"^[^/\\\0]+$")]
    text: str
    category: Category


class _Answer(msgspec.Struct, frozen=True):
    question_id: str
    text: str


class _Instance(msgspec.Struct, frozen=True):
    category: str
    bbox: Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)]


class _Context(msgspec.Struct, frozen=True):
    image: str
    captions: tuple[str, ...]
    instances: tuple[_Instance, ...]


class _Mirrored(msgspec.Struct, frozen=True):
    question_id: str
    question: str
    image: Embedded
    category: Category
    image_id: str
    answer: str
    caption: str | tuple[str, ...]


def read(source: DataSource, revision: str) -> Opened:
    """Find and check the data. Raises DataError naming file, row and field."""
    if source.kind == "hub":
        root = download(REPOSITORY, revision, [_SHARDS], licence=LICENCE)
        opened = _mirror(root)
        check_count(root / _SHARDS, len(opened.items), PUBLISHED)
        note = f"hub data set {REPOSITORY} at {revision} (commit {root.name})"
        return msgspec.structs.replace(opened, notes=(note, *opened.notes))
    assert source.path is not None
    if sorted(source.path.glob(_SHARDS)) and not (source.path / QUESTIONS).exists():
        return _mirror(source.path)
    return _original(source.path)


def _original(root: Path) -> Opened:
    check_folder(root, (QUESTIONS, ANSWERS, CONTEXT), ("rule.json", "truth.json"), _EXPECTED)
    questions = _by_key(root / QUESTIONS, _Question, "question_id")
    answers = _by_key(root / ANSWERS, _Answer, "question_id")
    contexts = _by_key(root / CONTEXT, _Context, "image")
    _check_joined(root, questions, answers, contexts)
    media = [
        Medium(_image(root, question.image), "image", place(root / QUESTIONS, i, question, "question_id"))
        for i, question in enumerate(questions.values())
    ]
    check_media(media)
    items = tuple(
        Item(
            question_id=key,
            question=question.text,
            category=question.category,
            image=question.image,
            reference=answers[key].text,
            captions="\n".join(contexts[question.image].captions),
            boxes="\n".join(f"{i.category}: {i.bbox}" for i in contexts[question.image].instances),
        )
        for key, question in questions.items()
    )
    return _opened(items, media, root)


def _mirror(root: Path) -> Opened:
    rows = parquet_records(root, _SHARDS, _Mirrored, _EXPECTED, "question_id")
    check_unique(root / _SHARDS, "question_id", (row.question_id for row in rows))
    folder = home() / "data" / "llava_bench_coco"
    paths = write_embedded((row.image.content for row in rows), folder)
    media = [
        Medium(path, "image", place(root / _SHARDS, i, rows[i], "question_id"))
        for i, path in enumerate(paths)
    ]
    check_media(media)
    items = tuple(
        Item(
            question_id=row.question_id,
            question=row.question,
            category=row.category,
            image=row.image_id,
            reference=row.answer,
            captions=row.caption if isinstance(row.caption, str) else "\n".join(row.caption),
        )
        for row in rows
    )
    return _opened(items, media, folder, _NO_BOXES)


def _by_key(path: Path, kind: type[S], key: str) -> dict[str, S]:
    rows = records(path, json_rows(path, _EXPECTED), kind, key)
    check_unique(path, key, (getattr(row, key) for row in rows))
    return {getattr(row, key): row for row in rows}


def _check_joined(
    root: Path,
    questions: dict[str, _Question],
    answers: dict[str, _Answer],
    contexts: dict[str, _Context],
) -> None:
    """The published script joins answers by position; here a question has the answer with its id."""
    for number, (key, question) in enumerate(questions.items()):
        where = place(root / QUESTIONS, number, question, "question_id")
        if key not in answers:
            raise DataError(f"{where}: no answer with this question_id in {ANSWERS}")
        if question.image not in contexts:
            raise DataError(f"{where}: {CONTEXT} says nothing of its image {question.image!r}")
    for number, (key, answer) in enumerate(answers.items()):
        if key not in questions:
            where = place(root / ANSWERS, number, answer, "question_id")
            raise DataError(f"{where}: no question with this question_id in {QUESTIONS}")


def _image(root: Path, name: str) -> Path:
    """In val2014/, in images/ or beside the files, by COCO's name or by that of the questions."""
    places = [
        root / folder / f"{prefix}{name}" for folder in (IMAGES, "images", "") for prefix in (PREFIX, "")
    ]
    return next((path for path in places if path.is_file()), places[0])


def _opened(items: tuple[Item, ...], media: list[Medium], root: Path, *notes: str) -> Opened:
    return Opened(
        items=items,
        images={item.question_id: str(medium.path) for item, medium in zip(items, media, strict=True)},
        root=root,
        revision=revision_of(items, sizes_of(media, root)),
        notes=notes,
    )
