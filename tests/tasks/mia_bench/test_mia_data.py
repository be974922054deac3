"""MIA-Bench: the original's list and the hub's mirror, whole and damaged, and the twin."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from servers.hub_server import HubServer

from eval_anything.errors import DataError, UsageError
from eval_anything.media.convert import load_image
from eval_anything.task import DataSource
from eval_anything.tasks.mia_bench import data
from eval_anything.tasks.mia_bench.twin import write_twin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "twin"
    write_twin(out, 7, 0)
    return out


def opened(folder: Path) -> data.Opened:
    return data.read(DataSource(kind="path", path=folder), data.REVISION)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / data.ROWS).read_text())


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    rows = rows_of(folder)
    change(rows)
    (folder / data.ROWS).write_text(json.dumps(rows))


def mirror(folder: Path, to: Path, **changes: Any) -> Path:
    """The same rows as the mirror holds them: without URLs, the images in the parquet file."""
    rows = []
    for row, image in zip(rows_of(folder), opened(folder).images, strict=True):
        embedded = {"bytes": Path(image).read_bytes(), "path": None}
        whole = {**row, "image": embedded, **changes}
        rows.append({k: v for k, v in whole.items() if k != "image_name" and v is not None})
    (to / "data").mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), to / "data" / "test-00000-of-00001.parquet")
    return to


def test_rows_have_components_with_weight_and_kind_and_the_image_beside_them(folder: Path) -> None:
    found = opened(folder)
    for row, item, image in zip(rows_of(folder), found.items, found.images, strict=True):
        assert item.instruction == row["instruction"]
        assert [c.text for c in item.components] == row["components"]
        assert [c.weight for c in item.components] == row["component_weight"]
        assert [c.kind for c in item.components] == row["component_type"]
        name = row.get("image_name") or row["image"].rpartition("/")[2]
        assert image == str(folder / "images" / name)
    assert "image_name" in rows_of(folder)[0]
    assert "image_name" not in rows_of(folder)[1]


def test_images_may_lie_beside_the_list_and_urls_may_have_queries_and_escapes(folder: Path) -> None:
    image = folder / "images" / "000000000002.jpg"
    rewrite(folder, lambda rows: rows[1].update(image="https://example.org/a/b%20c.jpg?size=o#top"))
    image.rename(folder / "b c.jpg")
    assert opened(folder).images[1] == str(folder / "b c.jpg")


def test_the_mirror_has_the_same_rows(folder: Path, tmp_path: Path) -> None:
    found, original = opened(mirror(folder, tmp_path / "mirror")), opened(folder)
    for one, other in zip(found.items, original.items, strict=True):
        assert (one.instruction, one.type, one.components) == (
            other.instruction,
            other.type,
            other.components,
        )
    for one, other in zip(found.images, original.images, strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()
    assert found.truths == ()


def test_images_are_never_fetched_and_what_to_do_is_said(folder: Path) -> None:
    for name in ("000000000002.jpg", "000000000004.jpg"):
        (folder / "images" / name).unlink()
    message = (
        r"images/000000000002.jpg: not there, nor 1 more of 7 images; images are never fetched from the URLs"
        r" of .*images yourself \(this one is http://images.example.org/val2017/000000000002.jpg\),"
        r" or .*--data hub"
    )
    with pytest.raises(DataError, match=message):
        opened(folder)
    (folder / "images" / "000000000002.jpg").write_bytes(b"<html>gone</html>")
    shutil.copy(folder / "images" / "000000000003.jpg", folder / "images" / "000000000004.jpg")
    with pytest.raises(DataError, match=r"000000000002.jpg: .*expected an image; .*row 1 .image 'http"):
        opened(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[2].pop("instruction"), "row 2: .*`instruction`"),
        (lambda rows: rows[2].update(components=[]), "row 2: .*components"),
        (lambda rows: rows[2].update(component_weight=[10]), "row 2: . components, 1 weights"),
        (lambda rows: rows[2]["component_weight"].__setitem__(0, 0), "row 2: .*> 0.*component_weight"),
        (lambda rows: rows[2]["component_type"].__setitem__(0, "descibe"), "row 2: .*'descibe'"),
        (lambda rows: rows[2].update(image="http://example.org/"), "row 2 .*no file name in image"),
        (lambda rows: rows[2].update(image_name="../1.jpg"), "row 2 .*no file name in image or image_name"),
        (
            lambda rows: rows[2].update(image="http://other.org/000000000002.jpg"),
            "row 2 .*http://images.example.org/.*2.jpg would lie in the same file",
        ),
        (lambda rows: rows.clear(), "no rows"),
    ],
)
def test_wrong_rows_are_named_with_file_row_and_field(folder: Path, change: Any, message: str) -> None:
    rewrite(folder, change)
    with pytest.raises(DataError, match=rf"{data.ROWS}.*{message}"):
        opened(folder)


def test_files_that_are_missing_or_of_something_else_are_named(folder: Path, tmp_path: Path) -> None:
    extra = folder / "instruction_benchmark_basic.json"
    extra.write_text("[]")
    with pytest.raises(DataError, match=r"instruction_benchmark_basic.json: not a file of this data set"):
        opened(folder)
    extra.unlink()
    with pytest.raises(DataError, match=r"instruction_benchmark_all.json: not there; expected .*test-\*"):
        opened(tmp_path)
    (tmp_path / data.ROWS).write_text("{")
    with pytest.raises(DataError, match="neither a JSON list nor JSON lines"):
        opened(tmp_path)
    with pytest.raises(DataError, match=r"parquet: no column 'component_type'"):
        opened(mirror(folder, tmp_path / "mirror", component_type=None))


def test_another_picture_under_the_same_name_is_another_revision(folder: Path) -> None:
    before = opened(folder).revision
    assert opened(folder).revision == before
    rewrite(folder, lambda rows: rows[0].update(num_of_component=9, license="unknown"))
    assert opened(folder).revision == before, "of fields that are not used"
    image = folder / "images" / "000000000002.jpg"
    image.write_bytes(image.read_bytes() + b"\0")
    seen = {before, opened(folder).revision}
    rewrite(folder, lambda rows: rows[0]["components"].__setitem__(0, "describe it"))
    seen.add(opened(folder).revision)
    assert len(seen) == 3


def test_a_twins_answers_must_be_as_many_as_its_rows(folder: Path) -> None:
    assert len(opened(folder).truths) == 7
    rewrite(folder, lambda rows: rows.pop())
    with pytest.raises(DataError, match=r"truth.json: 7 answers"):
        opened(folder)


def from_hub(folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """A run on a hub that has `folder`."""
    files = {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    command = "run --model fake/echo --judge fake/echo --limit 2 --tasks mia_bench --data hub --out"
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "EVAL_ANYTHING_HOME": str(home)}

    async def serve() -> subprocess.CompletedProcess[str]:
        async with HubServer(data.REPOSITORY, data.REVISION, files) as server:
            return await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "eval_anything", *command.split(), str(home / "run")],
                env={**environment, "HF_ENDPOINT": server.url},
                capture_output=True,
                text=True,
            )

    return asyncio.run(serve())


def test_the_hubs_mirror_is_read_with_a_word_on_its_licence_and_must_have_all_rows(tmp_path: Path) -> None:
    write_twin(tmp_path / "few", 6, 0)
    done = from_hub(mirror(tmp_path / "few", tmp_path / "mirror"), tmp_path / "home")
    assert done.returncode == 2
    first, *_, last = done.stderr.splitlines()
    assert first == f"data from the hub: lmms-lab/MIA-Bench at main; licence: {data.LICENCE}"
    assert "6 rows, the published data set has 400: another revision?" in last


def test_same_size_and_seed_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_twin(tmp_path / name, 8, seed)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 2 + 8
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert all((tmp_path / "a" / f).read_bytes() != (tmp_path / "c" / f).read_bytes() for f in files)


def test_the_twin_has_the_benchmarks_size_kinds_and_oddities(tmp_path: Path) -> None:
    write_twin(tmp_path / "twin", None, 0)
    found = opened(tmp_path / "twin")
    assert len(found.items) == 400
    assert load_image(Path(found.images[0])).size == (96, 96)
    kinds = Counter(component.kind for item in found.items for component in item.components)
    assert set(kinds) == set(data.KINDS)
    wholes = Counter(sum(component.weight for component in item.components) for item in found.items)
    assert wholes == {10: 398, 8: 2}
    assert [component.kind for component in found.items[4].components] == ["describe", "mention", "mention"]
    assert sum("image_name" in row for row in rows_of(tmp_path / "twin")) == 80
    with pytest.raises(UsageError, match="at least 1 item"):
        write_twin(tmp_path / "none", 0, 0)
