"""ImageReward's prompts: those of its benchmark, or those of ImageRewardDB's test split.

Benchmark (github.com/THUDM/ImageReward):  benchmark/benchmark-prompts.json   [{id, prompt}], 100 of them
Test split, as the hub has it:             metadata-test.parquet              a row for each image, with
(THUDM/ImageRewardDB)                                                         prompt_id, prompt; 466 prompts
Test split, as the repository has it:      data/test.json                     [{id, prompt, ...}]

The images and rankings that come with the test split are people's judgements of other models: not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything.github import fetch
from eval_anything.hub import download
from eval_anything.records import (
    check_count,
    check_folder,
    check_unique,
    json_rows,
    parquet_rows,
    record,
    records,
    revision_of,
)
from eval_anything.task import DataSource

Prompts = Literal["benchmark", "test"]

REPOSITORY = "THUDM/ImageReward"
COMMIT = "1beb4e4de0932acbe7fc090c51208048b6269b58"
"""Of the code repository, which holds the benchmark's prompts."""
DATABASE = "THUDM/ImageRewardDB"
DATABASE_COMMIT = "c493721e19e296eb615420036f2a2eed08412bb4"
LICENCE = "Apache 2.0"
BENCHMARK = "benchmark/benchmark-prompts.json"
METADATA = "metadata-test.parquet"
TEST = "data/test.json"
PUBLISHED: dict[Prompts, int] = {"benchmark": 100, "test": 466}
_KNOWN = (
    *(name for file in (BENCHMARK, TEST) for name in (file, Path(file).name)),
    "data/refl_data.json",
    "refl_data.json",
    "metadata-*.parquet",
)
"""What the repository and the hub's folder hold besides."""
_EXPECTED = f"the repository's files ({BENCHMARK}, {TEST}), or the hub's ({METADATA})"


class Prompt(msgspec.Struct, frozen=True):
    """One prompt, from whichever file."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    prompt: str


class Opened(msgspec.Struct, frozen=True):
    prompts: tuple[Prompt, ...]
    root: Path
    revision: str
    notes: tuple[str, ...] = ()


class _Image(msgspec.Struct, frozen=True):
    """One row of the hub's parquet file: an image, and the prompt that it was made from."""

    prompt_id: str
    prompt: str


def read(source: DataSource, prompts: Prompts, revision: str) -> Opened:
    """The prompts, from the hub or from a folder. `revision`: a commit or branch; empty: the one above.

    Raises DataError naming file, row and field.
    """
    if source.kind == "hub":
        return _published(prompts, revision)
    assert source.path is not None
    root = source.path
    files = (BENCHMARK,) if prompts == "benchmark" else (METADATA, TEST)
    names = [name for file in files for name in dict.fromkeys((file, Path(file).name))]
    name = next((name for name in names if (root / name).is_file()), files[-1])
    check_folder(root, (name,), _KNOWN, _EXPECTED)
    return _opened(_prompts(root / name), root)


def _published(prompts: Prompts, revision: str) -> Opened:
    if prompts == "benchmark":
        commit = revision or COMMIT
        path = fetch(REPOSITORY, commit, BENCHMARK, licence=LICENCE)
        note = f"{BENCHMARK} of github.com/{REPOSITORY} at {commit}"
    else:
        commit = revision or DATABASE_COMMIT
        path = download(DATABASE, commit, [METADATA], licence=LICENCE) / METADATA
        note = f"test split of hub data set {DATABASE} at {commit}"
    found = _prompts(path)
    check_count(path, len(found), PUBLISHED[prompts], "prompts")
    return _opened(found, path.parent, note)


def _prompts(path: Path) -> tuple[Prompt, ...]:
    if path.suffix == ".parquet":
        rows = records(path, parquet_rows(path, _EXPECTED, _Image.__struct_fields__), _Image, "prompt_id")
        # One prompt for each prompt_id, the one that is mentioned first, as the hub's own loader groups them.
        first = {row.prompt_id: row.prompt for row in reversed(rows)}
        order = dict.fromkeys(row.prompt_id for row in rows)
        return tuple(
            record(path, n, {"id": key, "prompt": first[key]}, Prompt, "id") for n, key in enumerate(order)
        )
    found = records(path, json_rows(path, _EXPECTED), Prompt, "id")
    check_unique(path, "id", (prompt.id for prompt in found))
    return tuple(found)


def _opened(prompts: tuple[Prompt, ...], root: Path, *notes: str) -> Opened:
    return Opened(prompts=prompts, root=root, revision=revision_of(prompts), notes=notes)
