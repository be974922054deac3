"""AMU's files: `config.json`, `visual.tar.gz`, `auditory.tar.gz`, from the hub, a folder, or the twin.

The hub's loader script is not used (nor any remote code): the raw files are read. Archives are unpacked once,
into the cache folder, unless `visual/` and `auditory/` already lie unpacked beside `config.json`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from eval_anything.errors import DataError
from eval_anything.home import home
from eval_anything.hub import download
from eval_anything.suggest import unknown
from eval_anything.task import DataSource
from eval_anything.values import Modality

REPOSITORY = "PKU-Alignment/EvalAnything-AMU"
REVISION = "0d8b8cfb187992ff503c73c82df1fe64ca083e44"
"""The commit that this project was written against."""
LICENCE = "CC BY-NC 4.0 (data)"
DIMENSIONS = ("perception", "reasoning", "instruction-following", "safety")
ANNOTATIONS = 10
_ARCHIVES = ("visual.tar.gz", "auditory.tar.gz")
_FILES = ("config.json", *_ARCHIVES, "amu_eval_prompt.py")
_VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})


class Keywords(msgspec.Struct, frozen=True):
    visual: tuple[str, ...] = ()
    auditory: tuple[str, ...] = ()


class Annotation(msgspec.Struct, frozen=True):
    answer: str
    keywords: Keywords


class Record(msgspec.Struct, frozen=True):
    """One record of config.json; fields besides these are not used."""

    question_id: str
    question: str
    visual_modality_path: str
    auditory_modality_path: str
    evaluation_dimension: str
    annotations: tuple[Annotation, ...]


class Folder(msgspec.Struct, frozen=True):
    """Where the files lie."""

    root: Path
    """Holds config.json."""
    media: Path
    """The paths of the records are relative to this."""
    revision: str
    note: str = ""


def locate(source: DataSource, revision: str) -> Folder:
    """Find (and where needed download and unpack) the files. Raises DataError naming what is missing."""
    root = download(REPOSITORY, revision, _FILES, licence=LICENCE) if source.kind == "hub" else source.path
    assert root is not None
    config = root / "config.json"
    if not config.is_file():
        raise DataError(f"{config}: not there; AMU's folder holds config.json, {', '.join(_ARCHIVES)}")
    media = _media_folder(root)
    found = _revision(config, media)
    note = f"hub data set {REPOSITORY} at {revision}" if source.kind == "hub" else ""
    return Folder(root=root, media=media, revision=found, note=note)


def _revision(config: Path, media: Path) -> str:
    """A hash of the records and of the media's names and sizes: other files under the same records are other
    data. Their bytes are not read for it, which would take seconds for the hub's gigabyte."""
    digest = hashlib.sha256(config.read_bytes())
    for channel in ("visual", "auditory"):
        for file in sorted((media / channel).rglob("*")):
            if file.is_file():
                name = file.relative_to(media).as_posix()
                digest.update(f"{name}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def read_records(path: Path, subset: Literal["all", "image", "video"]) -> tuple[Record, ...]:
    """The records of `subset`, in the file's order. Raises DataError naming the record and the field."""
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError) as fault:
        raise DataError(f"{path}: not JSON: {fault}") from None
    if isinstance(raw, dict) and raw and all(isinstance(v, list) for v in raw.values()):
        raw = [record for part in raw.values() for record in part]
    if not isinstance(raw, list):
        raise DataError(f"{path}: expected a list of records")
    records = tuple(_record(path, number, value) for number, value in enumerate(raw))
    _check_ids(path, records)
    chosen = tuple(r for r in records if subset in ("all", visual_kind(r)))
    if not chosen:
        wanted = "records" if subset == "all" else f"{subset} records among {len(records)}"
        raise DataError(f"{path}: no {wanted}")
    return chosen


def visual_kind(record: Record) -> Modality:
    """Whether the record's visual part is an image or a video, by its file name."""
    suffix = PurePosixPath(record.visual_modality_path).suffix.lower()
    return "video" if suffix in _VIDEO_SUFFIXES else "image"


def media_path(media: Path, channel: Literal["visual", "auditory"], path: str) -> Path:
    """Where a record's file lies: its path may or may not begin with the folder's name, and so may the
    paths inside the archive."""
    for folder in (media, media / channel, media / channel / channel):
        try:
            if (folder / path).is_file():
                return folder / path
        except OSError:  # a name that no file can have; whoever opens it says so
            break
    return media / channel / path


def _record(path: Path, number: int, value: object) -> Record:
    where = f"{path}, record {number}"
    if isinstance(value, dict):
        where += f" (question_id {value.get('question_id')!r})"
        value = {**value, "question_id": str(value["question_id"])} if "question_id" in value else value
    try:
        record = msgspec.convert(value, Record)
    except msgspec.ValidationError as fault:
        raise DataError(f"{where}: {fault}") from None
    if record.evaluation_dimension not in DIMENSIONS:
        wrong = unknown("evaluation_dimension", record.evaluation_dimension, DIMENSIONS)
        raise DataError(f"{where}: {wrong}")
    if len(record.annotations) != ANNOTATIONS:
        raise DataError(f"{where}: expected {ANNOTATIONS} annotations, found {len(record.annotations)}")
    return record


def _check_ids(path: Path, records: tuple[Record, ...]) -> None:
    seen: set[str] = set()
    for record in records:
        if record.question_id in seen:
            raise DataError(f"{path}: question_id {record.question_id!r} occurs twice")
        seen.add(record.question_id)


def _media_folder(root: Path) -> Path:
    """`root` itself where the media lie unpacked, else the folder into which the archives are unpacked."""
    if (root / "visual").is_dir() and (root / "auditory").is_dir():
        return root
    digest = hashlib.sha256()
    for name in _ARCHIVES:
        archive = root / name
        if not archive.is_file():
            folder = name.removesuffix(".tar.gz")
            raise DataError(f"{archive}: not there, nor the unpacked folder {folder}/")
        stat = archive.stat()
        digest.update(f"{archive.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    unpacked = home() / "data" / "amu" / digest.hexdigest()[:24]
    from eval_anything.media.archive import unpack  # listing tasks should not wait for it

    for name in _ARCHIVES:
        unpack(root / name, unpacked / name.removesuffix(".tar.gz"))
    return unpacked
