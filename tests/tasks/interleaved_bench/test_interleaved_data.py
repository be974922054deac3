"""InterleavedBench: its records, and its pictures in folders, in zips and on the hub, whole and damaged."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers.hub_server import HubServer

from eval_anything.errors import DataError
from eval_anything.media.archive import unpack
from eval_anything.task import DataSource
from eval_anything.tasks.interleaved_bench import data
from eval_anything.tasks.interleaved_bench.twin import write_twin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "twin"
    write_twin(out, 10, 0)
    (out / "truth.json").unlink()
    return out


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def opened(folder: Path) -> data.Found:
    return data.locate(DataSource(kind="path", path=folder), data.REVISION)


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    path = folder / data.FILE
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def unpacked(folder: Path, to: Path) -> None:
    """All zips into one folder, as the card says to do."""
    for archive in sorted((folder / "zipped_images").iterdir()):
        unpack(archive, folder / "some")
        shutil.copytree(folder / "some", to, dirs_exist_ok=True)
        shutil.rmtree(folder / "some")


def record(human: str, gpt: str, *images: str) -> data.Record:
    turns = (data.Turn("human", human), data.Turn("gpt", gpt))
    return data.Record(id="r", task_name="t", conversations=turns, image=images)


def told(pieces: tuple[data.Piece, ...]) -> list[str]:
    return [piece.text if isinstance(piece, data.Text) else f"[{piece.path}]" for piece in pieces]


@pytest.mark.parametrize(
    ("human", "gpt", "prompt", "truth"),
    [
        (
            "One <image> two.<image> <BEGIN>",
            "Three. <image>",
            ["One", "[a]", "two.", "[b]"],
            ["Three.", "[c]"],
        ),
        ("One <image>", "two <BEGIN> three <image>", ["One", "[a]", "\ntwo"], ["three", "[b]"]),
        ("Write.", "One. <image> Two. <image>", ["Write."], ["One.", "[a]", "Two.", "[b]"]),
        ("<image><image> Both.", "<image>", ["[a]", "[b]", "Both."], ["[c]"]),
        ("<image> Edit. <BEGIN>", "", ["[a]", "Edit."], []),
    ],
)
def test_pictures_stand_where_their_tokens_do_and_the_model_takes_over_at_begin(
    human: str, gpt: str, prompt: list[str], truth: list[str]
) -> None:
    item = data.read(Path("f"), 0, record(human, gpt, "a", "b", "c"))
    assert told(item.prompt) == [text.strip() for text in prompt]
    assert told(item.truth) == truth


@pytest.mark.parametrize(
    ("human", "gpt", "images", "said"),
    [
        ("<image> <image>", "", ["a"], "more <image> in its conversations than pictures"),
        ("<BEGIN>", "x", [], "nothing is asked before <BEGIN>"),
        ("<image>", "", ["/etc/passwd"], "leads out of the data set"),
        ("<image>", "", ["a/../../b"], "leads out of the data set"),
    ],
)
def test_records_that_cannot_be_read_are_named(human: str, gpt: str, images: list[str], said: str) -> None:
    with pytest.raises(DataError, match=rf"f, row 3 \(id 'r'\): .*{said}"):
        data.read(Path("f"), 3, record(human, gpt, *images))


def test_a_record_begins_with_what_is_asked() -> None:
    turn = data.Turn("gpt", "Hello.")
    with pytest.raises(DataError, match="the first turn is from 'gpt', expected human"):
        data.read(Path("f"), 0, data.Record(id="r", task_name="t", conversations=(turn,)))
    with pytest.raises(DataError, match="conversations is empty"):
        data.read(Path("f"), 0, data.Record(id="r", task_name="t", conversations=()))


def test_one_picture_may_stand_alone() -> None:
    assert data.Record("r", "t", (), "a.png").images == ("a.png",)
    assert data.Record("r", "t", (), "").images == data.Record("r", "t", (), ()).images == ()


def test_zips_are_unpacked_into_the_cache_once(folder: Path, home: Path) -> None:
    found = opened(folder)
    assert len(found.items) == 10
    assert found.root == home / "data" / "interleaved_bench"
    for name, path in found.pictures.items():
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.as_posix().endswith(name)
        assert path.is_relative_to(found.root)
    before = sorted(found.root.iterdir())
    assert opened(folder).pictures == found.pictures
    assert sorted(found.root.iterdir()) == before


@pytest.mark.parametrize("place", ["", "zipped_images", "images"])
def test_pictures_may_lie_unpacked_in_three_places(folder: Path, place: str) -> None:
    revision = opened(folder).revision
    unpacked(folder, folder / place)
    found = opened(folder)
    assert found.root == folder
    assert all(path == folder / place / name for name, path in found.pictures.items())
    assert found.revision == revision, "the same data, wherever they lie"


def test_a_zip_may_lack_the_folder_of_its_name(folder: Path, tmp_path: Path) -> None:
    archive = folder / "zipped_images" / "wiki_images_test.zip"
    unpack(archive, tmp_path / "inside")
    archive.unlink()
    shutil.make_archive(str(archive.with_suffix("")), "zip", tmp_path / "inside" / "wiki_images_test")
    path = opened(folder).pictures["wiki_images_test/0_0.png"]
    assert path.is_file()
    assert path.name == "0_0.png"


def test_editing_and_subjects_ask_for_pictures_alone(folder: Path) -> None:
    items = opened(folder).items
    assert [item.use_case for item in items if data.text_free(item)] == [
        "image_editing",
        "subject_driven_generation",
    ] * 2
    rewrite(folder, lambda rows: [row.update(task_name="other") for row in rows])
    again = [item.id for item in opened(folder).items if data.text_free(item)]
    assert again == [item.id for item in items if data.text_free(item)], (
        "told by the pictures' source as well"
    )


def test_subsets_are_told_by_pictures_in_the_prompt(folder: Path) -> None:
    items = opened(folder).items
    free = [item.use_case for item in items if data.in_subset(item, "context-free")]
    assert free == ["report_generation"] * 2
    assert sum(data.in_subset(item, "context-based") for item in items) == 8
    assert all(data.in_subset(item, "all") for item in items)


def test_pictures_without_a_token_are_counted(folder: Path) -> None:
    rewrite(folder, lambda rows: rows[0]["image"].append("wiki_images_test/more.png"))
    assert opened(folder).notes == ("1 pictures are not shown: no <image> stands for them",)


def test_a_missing_file_is_named_with_the_layout(folder: Path) -> None:
    (folder / data.FILE).unlink()
    with pytest.raises(DataError, match=r"interleaved_bench\.json: not there; expected .*zipped_images"):
        opened(folder)


def test_an_extra_file_is_named(folder: Path) -> None:
    (folder / "predictions.json").write_text("[]")
    with pytest.raises(DataError, match=r"predictions\.json: not a file of this data set"):
        opened(folder)


def test_a_missing_zip_is_named(folder: Path) -> None:
    (folder / "zipped_images" / "vist_images_test.zip").unlink()
    with pytest.raises(DataError, match=r"vist_images_test\.zip: not there, nor the folder"):
        opened(folder)


def test_a_damaged_zip_is_named(folder: Path) -> None:
    archive = folder / "zipped_images" / "vist_images_test.zip"
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(DataError, match=r"vist_images_test\.zip"):
        opened(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not there"),
        (b"", "empty"),
        (b"hello", "text, expected an image"),
        (b"RIFF\0\0\0\0WAVE", "image"),
    ],
)
def test_a_picture_that_is_none_is_said_before_any_model_is_asked(
    folder: Path, content: bytes | None, said: str
) -> None:
    unpacked(folder, folder)
    picture = folder / "vist_images_test" / "3_0.png"
    picture.unlink()
    if content is not None:
        picture.write_bytes(content)
    with pytest.raises(DataError, match=rf"3_0\.png: .*{said}.*; record storytelling_generation_3 names it"):
        opened(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task_name": None}, r"row 0 \(id 'wikihow_next_step_0'\): .*`\$\.task_name`"),
        ({"conversations": [{"value": "x"}]}, r"row 0 .*`from`"),
        ({"image": [3]}, r"row 0 .*`\$\.image"),
        ({"id": "report_generation_1"}, r"row 1: id 'report_generation_1' occurs twice"),
    ],
)
def test_wrong_fields_are_named(folder: Path, change: dict[str, Any], said: str) -> None:
    rewrite(folder, lambda rows: rows[0].update(change))
    with pytest.raises(DataError, match=said):
        opened(folder)


def test_the_revision_is_that_of_records_and_pictures(folder: Path) -> None:
    unpacked(folder, folder)
    seen = {opened(folder).revision, opened(folder).revision}
    assert len(seen) == 1
    picture = folder / "vist_images_test" / "3_0.png"
    picture.write_bytes(picture.read_bytes() + b"\0")
    seen.add(opened(folder).revision)
    rewrite(folder, lambda rows: rows[0]["conversations"][0].update(value="Hello?"))
    seen.add(opened(folder).revision)
    assert len(seen) == 3


def hub(size: int, to: Path) -> dict[str, bytes]:
    write_twin(to, size, 0)
    files = {str(p.relative_to(to)): p.read_bytes() for p in to.rglob("*") if p.is_file()}
    return {**files, "README.md": b"card", "src/interleavedeval_gpt4o.py": b"raise SystemExit"}


def from_hub(files: dict[str, bytes], home: Path) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: the hub's library reads its address once."""
    code = (
        "import sys\n"
        "from eval_anything.tasks.interleaved_bench.task import InterleavedBench\n"
        "from eval_anything.task import DataSource\n"
        "from eval_anything.errors import DataError\n"
        "task = InterleavedBench(InterleavedBench.Options())\n"
        "try:\n"
        "    found = task.open(DataSource(kind='hub'))\n"
        "except DataError as fault:\n"
        "    sys.exit(f'DataError: {fault}')\n"
        "print(found.size, *found.notes, sep='\\n')\n"
    )

    async def serve() -> "subprocess.CompletedProcess[str]":
        async with HubServer(data.REPOSITORY, data.REVISION, files, kind="models") as server:
            return await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                env={
                    **os.environ,
                    "HF_ENDPOINT": server.url,
                    "HF_HOME": str(home),
                    "HF_HUB_OFFLINE": "0",
                    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                },
            )

    return asyncio.run(serve())


def test_from_the_hubs_model_repository_at_the_pinned_commit(tmp_path: Path) -> None:
    done = from_hub(hub(815, tmp_path / "files"), tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["815", f"hub repository {data.REPOSITORY} at {data.REVISION}"]
    assert "licence: Apache-2.0" in done.stderr
    assert not list((tmp_path / "hf").rglob("*.py"))


def test_from_the_hub_other_numbers_of_records_are_another_revision(tmp_path: Path) -> None:
    done = from_hub(hub(20, tmp_path / "files"), tmp_path / "hf")
    assert done.returncode == 1
    assert "20 records, the published data set has 815: another revision?" in done.stderr
