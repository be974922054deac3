"""HPSv2's prompts: `benchmark/<style>.json`, a list of prompts for each of four styles, 800 each.

From the hub (zhwang/HPDv2) or a folder of the same layout, or the folder `benchmark/` itself. A prompt's
place in its list names its image: `anime/00012.jpg` is of the thirteenth prompt of anime.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec

from eval_anything.errors import DataError
from eval_anything.hub import download
from eval_anything.records import check_count, check_folder, json_rows, revision_of
from eval_anything.task import DataSource

Style = Literal["anime", "concept-art", "paintings", "photo"]
STYLES: tuple[Style, ...] = get_args(Style)

REPOSITORY = "zhwang/HPDv2"
REVISION = "260dbde75ab1c68e86d32a8e7739f1b49b100578"
"""The commit that put the prompts there; later ones add images of models."""
LICENCE = "none stated with these files; the project, and its data set ymhao/HPDv2, are under Apache 2.0"
PUBLISHED = 800
"""Prompts of each style."""
FOLDER = "benchmark"
_KNOWN = ("drawbench.json", "train.json", "test.json")
"""What else the data set holds."""
_EXPECTED = f"{FOLDER}/{{{','.join(STYLES)}}}.json, lists of prompts"


class Prompt(msgspec.Struct, frozen=True):
    style: Style
    index: int
    """Place in its style's list."""
    prompt: str

    @property
    def id(self) -> str:
        """The path of its image below a model's folder, without the suffix."""
        return f"{self.style}/{self.index:05d}"


class Opened(msgspec.Struct, frozen=True):
    prompts: tuple[Prompt, ...]
    root: Path
    revision: str
    notes: tuple[str, ...] = ()


def read(source: DataSource, revision: str) -> Opened:
    """The prompts, style by style. Raises DataError naming file, row and field."""
    if source.kind == "hub":
        files = [f"{FOLDER}/{style}.json" for style in STYLES]
        root = download(REPOSITORY, revision, files, licence=LICENCE)
        prompts = _prompts(root / FOLDER, PUBLISHED)
        notes = (f"hub data set {REPOSITORY} at {revision} (commit {root.name})",)
        return Opened(prompts=prompts, root=root, revision=revision_of(prompts), notes=notes)
    assert source.path is not None
    prefix = f"{FOLDER}/" if (source.path / FOLDER).is_dir() else ""
    known = [*_KNOWN, *(f"{FOLDER}/{name}" for name in _KNOWN)]
    check_folder(source.path, [f"{prefix}{style}.json" for style in STYLES], known, _EXPECTED)
    prompts = _prompts(source.path / prefix)
    return Opened(prompts=prompts, root=source.path, revision=revision_of(prompts))


def _prompts(folder: Path, published: int | None = None) -> tuple[Prompt, ...]:
    found: list[Prompt] = []
    for style in STYLES:
        path = folder / f"{style}.json"
        rows = json_rows(path, _EXPECTED)
        if published is not None:
            check_count(path, len(rows), published, "prompts")
        for index, row in enumerate(rows):
            if not isinstance(row, str):
                raise DataError(f"{path}, row {index}: expected a prompt (text), found {type(row).__name__}")
            if not row.strip():
                raise DataError(f"{path}, row {index}: the prompt is empty")
            found.append(Prompt(style=style, index=index, prompt=row))
    return tuple(found)
