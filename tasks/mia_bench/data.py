"""MIA-Bench: the original's list of rows beside its images, or the hub's mirror with the images in it.

Original (github.com/apple/ml-mia-bench): `instruction_benchmark_all.json`, a list of rows whose `image` is a
URL. Nothing is ever fetched from those URLs: the images lie beside the file, in `images/`, under `image_name`
where a row has one, else under the last part of its URL.

Mirror (lmms-lab/MIA-Bench): data/test-*.parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, get_args
from urllib.parse import unquote, urlsplit

import msgspec

from eval_anything.errors import DataError
from eval_anything.home import home
from eval_anything.hub import download
from eval_anything.judge import Component
from eval_anything.records import (
    Embedded,
    Medium,
    check_count,
    check_folder,
    check_media,
    json_rows,
    parquet_records,
    place,
    records,
    revision_of,
    sizes_of,
    write_embedded,
)
from eval_anything.task import DataSource
from eval_anything.values import Reference

REPOSITORY = "lmms-lab/MIA-Bench"
REVISION = "main"
LICENCE = "Apple sample code licence (instructions); images of third parties"
PUBLISHED = 400
ROWS = "instruction_benchmark_all.json"
TRUTH = "truth.json"
"""Of a synthetic twin alone: the benchmark itself has no reference answers."""
IMAGES = "images"
Kind = Literal[
    "describe", "mention", "length_limit", "linguistics", "grammar", "textual", "math", "perspective"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Of components, the most frequent first."""
_SHARDS = "data/test-*.parquet"
_EXPECTED = f"the original's {ROWS} with its images in {IMAGES}/, or the mirror's {_SHARDS}"


class Item(msgspec.Struct, frozen=True):
    """One row, from whichever source. It has no id of its own: its position is what responses go by."""

    instruction: str
    type: str
    components: tuple[Component, ...]
    image: str
    """URL, or name inside the mirror."""


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a row of a synthetic twin."""

    answer: str
    """Does all that the components ask for, in words that the references need not share."""
    references: tuple[Reference, ...]


class Opened(msgspec.Struct, frozen=True):
    items: tuple[Item, ...]
    images: tuple[str, ...]
    """The file of each item's image."""
    root: Path
    """The images lie below it."""
    revision: str
    truths: tuple[Truth, ...] = ()
    """One for each item of a synthetic twin."""
    notes: tuple[str, ...] = ()


class _Row(msgspec.Struct, frozen=True):
    instruction: str
    type: str
    components: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    component_weight: tuple[Annotated[float, msgspec.Meta(gt=0)], ...]
    component_type: tuple[Kind, ...]


class _Original(_Row, frozen=True):
    image: str
    image_name: str | None = None

    @property
    def file_name(self) -> str:
        return self.image_name or PurePosixPath(unquote(urlsplit(self.image).path)).name


class _Mirrored(_Row, frozen=True):
    image: Embedded


def read(source: DataSource, revision: str) -> Opened:
    """Find and check the data. Raises DataError naming file, row and field."""
    if source.kind == "hub":
        root = download(REPOSITORY, revision, [_SHARDS], licence=LICENCE)
        opened = _mirror(root)
        check_count(root / _SHARDS, len(opened.items), PUBLISHED)
        note = f"hub data set {REPOSITORY} at {revision} (commit {root.name})"
        return msgspec.structs.replace(opened, notes=(note,))
    assert source.path is not None
    if sorted(source.path.glob(_SHARDS)) and not (source.path / ROWS).exists():
        return _mirror(source.path)
    return _original(source.path)


def _original(root: Path) -> Opened:
    check_folder(root, (ROWS,), (TRUTH,), _EXPECTED)
    rows = records(root / ROWS, json_rows(root / ROWS, _EXPECTED), _Original)
    media = [
        Medium(_image(root, i, row), "image", place(root / ROWS, i, row, "image"))
        for i, row in enumerate(rows)
    ]
    _check_images(root, rows, media)
    check_media(media)
    items = tuple(_item(root / ROWS, i, row, row.image) for i, row in enumerate(rows))
    return _opened(items, media, root, _truths(root, len(items)))


def _mirror(root: Path) -> Opened:
    rows = parquet_records(root, _SHARDS, _Mirrored, _EXPECTED)
    folder = home() / "data" / "mia_bench"
    paths = write_embedded((row.image.content for row in rows), folder)
    media = [Medium(path, "image", place(root / _SHARDS, i)) for i, path in enumerate(paths)]
    check_media(media)
    items = tuple(
        _item(root / _SHARDS, i, row, path.name)
        for i, (row, path) in enumerate(zip(rows, paths, strict=True))
    )
    return _opened(items, media, folder)


def _item(path: Path, number: int, row: _Row, image: str) -> Item:
    counts = [len(row.components), len(row.component_weight), len(row.component_type)]
    if len(set(counts)) > 1:
        raise DataError(
            f"{place(path, number)}: {counts[0]} components, {counts[1]} weights (component_weight) and"
            f" {counts[2]} kinds (component_type); expected as many of each"
        )
    whole = zip(row.components, row.component_weight, row.component_type, strict=True)
    components = tuple(Component(text, weight, kind) for text, weight, kind in whole)
    return Item(instruction=row.instruction, type=row.type, components=components, image=image)


def _image(root: Path, number: int, row: _Original) -> Path:
    name = row.file_name
    if not name or "/" in name or "\\" in name or "\0" in name:
        raise DataError(f"{place(root / ROWS, number, row, 'image')}: no file name in image or image_name")
    beside = root / name
    return beside if beside.is_file() else root / IMAGES / name


def _check_images(root: Path, rows: Sequence[_Original], media: Sequence[Medium]) -> None:
    """Raises DataError where two URLs lead to one file, and where images are not there."""
    urls: dict[Path, str] = {}
    for row, medium in zip(rows, media, strict=True):
        if urls.setdefault(medium.path, row.image) != row.image:
            raise DataError(f"{medium.where}: {urls[medium.path]} would lie in the same file {medium.path}")
    absent = [(row, medium) for row, medium in zip(rows, media, strict=True) if not medium.path.is_file()]
    if absent:
        row, medium = absent[0]
        raise DataError(
            f"{medium.path}: not there, nor {len(absent) - 1} more of {len(rows)} images; images are never"
            f" fetched from the URLs of {ROWS}: put them into {root / IMAGES} yourself (this one is"
            f" {row.image}), or take the mirror that holds them ({REPOSITORY}, --data hub)"
        )


def _truths(root: Path, size: int) -> tuple[Truth, ...]:
    path = root / TRUTH
    if not path.is_file():
        return ()
    truths = tuple(records(path, json_rows(path, "the answers of a synthetic twin"), Truth))
    check_count(path, len(truths), size, "answers")
    return truths


def _opened(
    items: tuple[Item, ...], media: list[Medium], root: Path, truths: tuple[Truth, ...] = ()
) -> Opened:
    return Opened(
        items=items,
        images=tuple(str(medium.path) for medium in media),
        root=root,
        revision=revision_of(items, sizes_of(media, root)),
        truths=truths,
    )
