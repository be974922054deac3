"""Video-ChatGPT: the project's files and the hub's mirror, whole and damaged."""

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
from eval_anything.media.zipped import write_zip
from eval_anything.task import DataSource
from eval_anything.tasks.video_chatgpt import data
from eval_anything.tasks.video_chatgpt.twin import write_twin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "twin"
    write_twin(out, 13, 0)
    (out / "truth.json").unlink()
    return out


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def opened(folder: Path) -> data.Found:
    return data.locate(DataSource(kind="path", path=folder), data.REVISION)


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def mirror_rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The same items as the mirror has them: a row for each question of consistency."""
    found: dict[str, list[dict[str, Any]]] = {"Generic": [], "Temporal": [], "Consistency": []}
    for part in ("Generic", "Temporal"):
        for row in json.loads((folder / f"{part.lower()}_qa.json").read_text()):
            found[part].append({"video_name": row["video_name"], "question": row["Q"], "answer": row["A"]})
    pairs = json.loads((folder / "consistency_qa.json").read_text())
    for row in pairs:
        same = {"video_name": row["video_name"], "answer": row["A"]}
        found["Consistency"].append({**same, "question_1": row["Q1"], "question_2": "None"})
        found["Consistency"].append({**same, "question_1": "None", "question_2": row["Q2"]})
    return found


def write_mirror(to: Path, rows: dict[str, list[dict[str, Any]]], videos: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part, held in rows.items():
        (to / part).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(held), to / part / "test-00000-of-00001.parquet")
    files = [(f"Test_Videos/{file.name}", file.read_bytes()) for file in sorted(videos.iterdir())]
    write_zip(to / "videos.zip", files)
    return to


def test_the_projects_files_are_read_video_by_video(folder: Path) -> None:
    found = opened(folder)
    assert [item.id for item in found.items[:7]] == [
        "generic/v_twin0001_0",
        "temporal/v_twin0001_0",
        "consistency/v_twin0001_0",
        "generic/v_twin0001_1",
        "generic/v_twin0001_2",
        "generic/v_twin0001_3",
        "generic/v_twin0002_0",
    ]
    assert len(found.items) == 13
    assert [len(item.questions) for item in found.items[:3]] == [1, 1, 2]
    assert found.videos["v_twin0001"] == folder / "Test_Videos" / "v_twin0001.mp4"
    rewrite(folder / "generic_qa.json", lambda rows: rows.reverse())
    again = opened(folder)
    assert [item.id for item in again.items[:2]] == ["generic/v_twin0003_0", "generic/v_twin0002_0"]
    assert len(again.items) == 13


@pytest.mark.parametrize("where", ["Test_Videos", "videos", "."])
@pytest.mark.parametrize("suffix", [".mp4", ".MP4", ".mkv", ".mov", ".avi"])
def test_videos_may_lie_in_three_places_under_four_suffixes(folder: Path, where: str, suffix: str) -> None:
    (folder / where).mkdir(exist_ok=True)
    for video in list((folder / "Test_Videos").iterdir()):
        video.rename(folder / where / f"{video.stem}{suffix}")
    assert opened(folder).videos["v_twin0002"] == folder / where / f"v_twin0002{suffix}"


def test_of_two_videos_with_one_name_the_first_suffix_counts(folder: Path) -> None:
    video = folder / "Test_Videos" / "v_twin0001.mp4"
    (video.with_suffix(".avi")).write_bytes(b"RIFF\x00\x00\x00\x00AVI LIST")
    assert opened(folder).videos["v_twin0001"] == video


def test_the_mirror_holds_the_same_items(folder: Path, tmp_path: Path, home: Path) -> None:
    mirror = write_mirror(tmp_path / "mirror", mirror_rows(folder), folder / "Test_Videos")
    found, own = opened(mirror), opened(folder)
    assert found.items == own.items
    assert found.videos["v_twin0001"].is_relative_to(home / "data" / "video_chatgpt")
    assert found.videos["v_twin0001"].read_bytes() == own.videos["v_twin0001"].read_bytes()
    assert found.root in found.videos["v_twin0001"].parents
    assert found.revision == own.revision
    shutil.copytree(folder / "Test_Videos", mirror / "Test_Videos")
    (mirror / "videos.zip").unlink()
    assert opened(mirror).items == own.items


def test_two_questions_of_one_video_are_paired_in_their_order(folder: Path, tmp_path: Path) -> None:
    rows = mirror_rows(folder)
    same = {"video_name": "v_twin0001", "answer": "Yes."}
    rows["Consistency"] = [
        {**same, "question_1": "A1", "question_2": "None"},
        {**same, "question_1": "B1", "question_2": "None"},
        {**same, "question_1": "None", "question_2": "A2"},
        {**same, "question_1": "None", "question_2": "B2"},
    ]
    found = opened(write_mirror(tmp_path / "mirror", rows, folder / "Test_Videos"))
    pairs = {item.id: item.questions for item in found.items if item.part == "consistency"}
    assert pairs == {
        "consistency/v_twin0001_0": ("A1", "A2"),
        "consistency/v_twin0001_1": ("B1", "B2"),
    }


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ("A1", "None", r"row 0 \(video_name 'v_twin0001'\): its other question is not there"),
        ("None", "None", r"row 0 .* expected question_1 or question_2"),
        ("A1", "A2", r"row 0 .* expected question_1 or question_2"),
    ],
)
def test_a_question_alone_is_said(folder: Path, tmp_path: Path, one: str, two: str, said: str) -> None:
    rows = mirror_rows(folder)
    rows["Consistency"] = [
        {"video_name": "v_twin0001", "answer": "Yes.", "question_1": one, "question_2": two}
    ]
    mirror = write_mirror(tmp_path / "mirror", rows, folder / "Test_Videos")
    with pytest.raises(DataError, match=said):
        opened(mirror)


def test_a_column_that_is_not_there_is_said(folder: Path, tmp_path: Path) -> None:
    rows = mirror_rows(folder)
    rows["Temporal"] = [{"video_name": "v_twin0001", "question": "?", "reply": "!"}]
    mirror = write_mirror(tmp_path / "mirror", rows, folder / "Test_Videos")
    with pytest.raises(DataError, match=r"Temporal.*no column 'answer'"):
        opened(mirror)


def test_parquet_files_of_a_part_are_one(folder: Path, tmp_path: Path) -> None:
    mirror = write_mirror(tmp_path / "mirror", mirror_rows(folder), folder / "Test_Videos")
    file = mirror / "Generic" / "test-00000-of-00001.parquet"
    shutil.copy(file, mirror / "Generic" / "more.parquet")
    with pytest.raises(DataError, match=r"Generic: 2 parquet files, expected one"):
        opened(mirror)
    for some in (mirror / "Generic").iterdir():
        some.unlink()
    with pytest.raises(DataError, match=r"Generic: no parquet files"):
        opened(mirror)


@pytest.mark.parametrize("part", data.PARTS)
def test_a_missing_list_is_named_with_both_layouts(folder: Path, part: str) -> None:
    (folder / f"{part}_qa.json").unlink()
    with pytest.raises(DataError, match=rf"{part}_qa\.json: not there; expected the project's files.*mirror"):
        opened(folder)


def test_an_extra_list_is_named(folder: Path) -> None:
    (folder / "generic_qa_2.json").write_text("[]")
    with pytest.raises(DataError, match=r"generic_qa_2\.json: not a file of this data set"):
        opened(folder)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("generic", {"Q": None}, r"generic_qa\.json, row 0 \(video_name 'v_twin0001'\): .*`\$\.Q`"),
        ("temporal", {"A": 3}, r"temporal_qa\.json, row 0 .*`\$\.A`"),
        ("consistency", {"Q2": ["?"]}, r"consistency_qa\.json, row 0 .*`\$\.Q2`"),
    ],
)
def test_wrong_fields_are_named(folder: Path, file: str, change: dict[str, Any], said: str) -> None:
    rewrite(folder / f"{file}_qa.json", lambda rows: rows[0].update(change))
    with pytest.raises(DataError, match=said):
        opened(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}\n[2]'])
def test_lists_that_are_none_are_said(folder: Path, content: str) -> None:
    (folder / "temporal_qa.json").write_text(content)
    with pytest.raises(DataError, match=r"temporal_qa\.json"):
        opened(folder)


def test_a_video_that_is_not_there_is_an_error_and_not_the_video_before(folder: Path) -> None:
    (folder / "Test_Videos" / "v_twin0002.mp4").unlink()
    with pytest.raises(DataError, match=r"no video 'v_twin0002' \(\.mp4, .*generic/v_twin0002_0 asks about"):
        opened(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"hello", "text, expected a video"), (b"\x89PNG\r\n\x1a\n", "image")],
)
def test_a_video_that_is_none_is_said_before_any_model_is_asked(
    folder: Path, content: bytes, said: str
) -> None:
    (folder / "Test_Videos" / "v_twin0002.mp4").write_bytes(content)
    with pytest.raises(DataError, match=rf"v_twin0002\.mp4: .*{said}"):
        opened(folder)


def test_the_revision_is_that_of_questions_and_videos(folder: Path) -> None:
    seen = {opened(folder).revision, opened(folder).revision}
    assert len(seen) == 1
    rewrite(folder / "consistency_qa.json", lambda rows: rows[0].update(Q2="Other?"))
    seen.add(opened(folder).revision)
    video = folder / "Test_Videos" / "v_twin0001.mp4"
    video.write_bytes(video.read_bytes() + b"\0")
    seen.add(opened(folder).revision)
    assert len(seen) == 3


def hub(folder: Path, to: Path, generic: int = 1996) -> dict[str, bytes]:
    """The mirror with as many items as are published, all about the same few videos."""
    small = mirror_rows(folder)
    sizes = {"Generic": generic, "Temporal": 499, "Consistency": 998}
    rows = {part: [held[i % len(held)] for i in range(sizes[part])] for part, held in small.items()}
    mirror = write_mirror(to, rows, folder / "Test_Videos")
    files = {str(p.relative_to(mirror)): p.read_bytes() for p in mirror.rglob("*") if p.is_file()}
    return {**files, "README.md": b"card", "Other/x.parquet": b"not fetched"}


def from_hub(files: dict[str, bytes], home: Path) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: the hub's library reads its address once."""
    code = (
        "import sys\n"
        "from eval_anything.tasks.video_chatgpt.task import VideoChatGPT\n"
        "from eval_anything.task import DataSource\n"
        "from eval_anything.errors import DataError\n"
        "task = VideoChatGPT(VideoChatGPT.Options())\n"
        "try:\n"
        "    found = task.open(DataSource(kind='hub'))\n"
        "except DataError as fault:\n"
        "    sys.exit(f'DataError: {fault}')\n"
        "print(found.size, *found.notes, sep='\\n')\n"
    )

    async def serve() -> "subprocess.CompletedProcess[str]":
        async with HubServer(data.REPOSITORY, data.REVISION, files) as server:
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


def test_from_the_hub_at_the_pinned_commit_with_its_licence_said(folder: Path, tmp_path: Path) -> None:
    done = from_hub(hub(folder, tmp_path / "mirror"), tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2994", f"hub data set {data.REPOSITORY} at {data.REVISION}"]
    assert "licence: CC BY-NC-SA 4.0" in done.stderr
    assert not list((tmp_path / "hf").rglob("x.parquet"))


def test_from_the_hub_other_numbers_of_items_are_another_revision(folder: Path, tmp_path: Path) -> None:
    done = from_hub(hub(folder, tmp_path / "mirror", generic=1990), tmp_path / "hf")
    assert done.returncode == 1
    assert "1990 items, the published data set has 1996: another revision?" in done.stderr
