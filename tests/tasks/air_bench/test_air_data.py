"""AIR-Bench's files in a folder, from the hub and from the twin, whole and damaged."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers.hub_server import HubServer

from eval_anything.errors import DataError, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.air_bench import cells, data
from eval_anything.tasks.air_bench.twin import (
    chat_rows,
    foundation_rows,
    write_chat,
    write_foundation,
    write_recording,
)

Change = Callable[[list[dict[str, Any]]], None]
CHAT, FOUNDATION = data.CHAT_HALF, data.FOUNDATION_HALF


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    write_chat(tmp_path / "chat", 22, 1)
    return tmp_path / "chat"


@pytest.fixture
def foundation(tmp_path: Path) -> Path:
    write_foundation(tmp_path / "foundation", 50, 1)
    return tmp_path / "foundation"


def opened(half: data.Half[Any], root: Path, **options: Any) -> Dataset:
    return data.open_half(half, DataSource(kind="path", path=root), data.AIRBenchOptions(**options))


def changed(root: Path, half: data.Half[Any], change: Change) -> None:
    file = root / half.file
    rows = json.loads(file.read_text())
    change(rows)
    file.write_text(json.dumps(rows))


def test_the_published_numbers_add_up() -> None:
    assert sum(cells.CHAT_ROWS.values()) == 2200
    assert sum(cell.rows for cell in cells.FOUNDATION) == 24683
    assert sum(cell.heard or cell.rows for cell in cells.FOUNDATION) == 21426
    assert (len(cells.FOUNDATION), len(cells.tasks(cells.FOUNDATION))) == (25, 19)
    assert (len(cells.CHAT), set(cells.tasks(cells.CHAT))) == (10, set(cells.CHAT_ROWS))


def test_rows_and_their_audio_are_found_flac_included(chat: Path, foundation: Path) -> None:
    found = opened(CHAT, chat)
    assert (found.size, found.root, found.notes) == (22, chat, ())
    assert all(item.audio.is_file() for item in found.records)
    found = opened(FOUNDATION, foundation)
    assert found.size == 50
    suffixes = {item.audio.suffix for item in found.records}
    assert suffixes == {".wav", ".mp3", ".flac"}
    flac = [item for item in found.records if item.audio.suffix == ".flac"]
    assert {item.row.task_name for item in flac} == {"Audio_Grounding"}
    assert all(item.row.path.endswith(".wav") for item in flac), "as the published rows have it"


def test_the_revision_tells_other_rows_and_other_audio(chat: Path) -> None:
    first = opened(CHAT, chat)
    assert opened(CHAT, chat).revision == first.revision
    audio = first.records[0].audio
    whole = audio.read_bytes()
    audio.write_bytes(whole + b"\0\0")
    assert opened(CHAT, chat).revision != first.revision
    audio.write_bytes(whole)
    changed(chat, CHAT, lambda rows: rows[0].update(question="Something else?"))
    assert opened(CHAT, chat).revision != first.revision


def test_tasks_can_be_chosen(foundation: Path) -> None:
    found = opened(FOUNDATION, foundation, only="Sound_AQA, Music_AQA")
    assert {item.row.task_name for item in found.records} == {"Sound_AQA", "Music_AQA"}
    assert found.notes == ("only Sound_AQA, Music_AQA: not the benchmark's averages",)
    with pytest.raises(UsageError, match="unknown task 'Sound_QA'; did you mean 'Sound_AQA'"):
        opened(FOUNDATION, foundation, only="Sound_QA")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[3].pop("meta_info"), r"row 3 \(uniq_id '3'\): .*`meta_info`"),
        (lambda rows: rows[3].update(question=7), r"row 3 \(uniq_id '3'\): .*`\$.question`"),
        (lambda rows: rows[4].update(uniq_id=3), "row 4: uniq_id '3' occurs twice"),
        (lambda rows: rows[0].update(task_name="speach_QA"), r"did you mean 'speech_QA_common_voice_en'"),
        (lambda rows: rows[0].update(path="gone.wav"), r"gone.wav: not there; .*row 0 \(uniq_id '0'\)"),
        (lambda rows: rows.clear(), "no rows"),
    ],
)
def test_what_is_wrong_with_a_row_is_named(chat: Path, change: Change, said: str) -> None:
    changed(chat, CHAT, change)
    with pytest.raises(DataError, match=said) as caught:
        opened(CHAT, chat)
    assert "Chat_meta.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_extra_files_and_folders_are_named(chat: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder; expected Chat/Chat_meta.json"):
        opened(CHAT, tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"Foundation_meta.json: not there; expected Foundation/"):
        opened(FOUNDATION, chat)
    extra = chat / "Chat" / "Chat_meta_v2.json"
    extra.write_text("[]")
    with pytest.raises(DataError, match=r"Chat_meta_v2.json: not a file of this data set"):
        opened(CHAT, chat)
    extra.unlink()
    (chat / "README.md").write_text("fine")
    (chat / "Chat" / "sound_QA_clotho").rename(chat / "away")
    for options in ({}, {"missing_audio": "skip"}):
        with pytest.raises(DataError, match=r"sound_QA_clotho: no such folder, \d rows need it; .*-T only="):
            opened(CHAT, chat, **options)
    assert opened(CHAT, chat, only="music_QA").size > 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "text, expected an audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png, expected an audio"),
    ],
)
def test_files_that_are_no_audio_are_named_before_anything_is_asked(
    chat: Path, content: bytes, said: str
) -> None:
    audio = opened(CHAT, chat).records[5].audio
    audio.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        opened(CHAT, chat)
    assert str(audio) in str(caught.value)
    assert "row 5 (uniq_id '5')" in str(caught.value)


def test_rows_without_audio_may_be_skipped_and_are_counted(chat: Path) -> None:
    records = opened(CHAT, chat).records
    records[2].audio.unlink()
    records[3].audio.write_bytes(b"")
    found = opened(CHAT, chat, missing_audio="skip")
    assert found.size == 20
    assert set(found.notes) == {
        f"left out: 1 rows of {records[i].row.cell}, whose audio is missing or empty" for i in (2, 3)
    }
    records[4].audio.write_bytes(b"no audio")
    with pytest.raises(DataError, match=r"row 4 \(uniq_id '4'\)"):
        opened(CHAT, chat, missing_audio="skip")


def test_choices_may_be_numbers_and_lists_as_python_prints_them(foundation: Path) -> None:
    changed(
        foundation,
        FOUNDATION,
        lambda rows: rows[0].update(choice_a=[0.5, 1], choice_b=3, choice_c="x", answer_gt=[0.5, 1]),
    )
    row = opened(FOUNDATION, foundation).records[0].row
    assert (str(row.choice_a), str(row.choice_b), str(row.answer_gt)) == ("[0.5, 1]", "3", "[0.5, 1]")


# From the hub: the rows of a whole half, the audio of one task.


def hub_files(
    half: data.Half[Any], rows: list[Any], task: str, folder: Path, most: int = 1000
) -> dict[str, bytes]:
    """The half's JSON with all rows, and the first `most` recordings of `task` alone."""
    files = {half.file: json.dumps([row for row, _ in rows]).encode(), "README.md": b"hello"}
    for row, drawn in rows:
        if row["task_name"] == task and len(files) < 2 + most:
            name = f"{half.name}/{task}_{row['dataset_name']}/{row['path']}"
            write_recording(folder / row["path"], drawn)
            files[name] = (folder / row["path"]).read_bytes()
    return files


def from_hub(
    files: dict[str, bytes], module: str, task: str, home: Path
) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: the hub's library reads its address once."""
    code = (
        "import sys\n"
        f"from eval_anything.tasks.air_bench.{module} import *\n"
        "from eval_anything.task import DataSource\n"
        "from eval_anything.errors import DataError\n"
        f"kind = {'AIRBenchChat' if module == 'chat' else 'AIRBenchFoundation'}\n"
        f"task = kind(kind.Options(only={task!r}))\n"
        "try:\n"
        "    found = task.open(DataSource(kind='hub'))\n"
        "except DataError as fault:\n"
        "    sys.exit(f'DataError: {fault}')\n"
        "first = next(task.samples(found)).messages[0].parts[0].path\n"
        "print(found.size, found.root, first, *found.notes, sep='\\n')\n"
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


def test_from_the_hub_one_task_is_fetched_at_the_pinned_commit_and_rows_without_audio_are_skipped(
    tmp_path: Path,
) -> None:
    rows = list(chat_rows(2200, 0))
    files = hub_files(CHAT, rows, "sound_generation_QA", tmp_path)
    names = [name for name in files if "sound_generation_QA" in name]
    files[names[0]] = b""
    del files[names[1]]
    files["Chat/music_QA_musiccaps/00000.wav"] = b"not asked for"
    done = from_hub(files, "chat", "sound_generation_QA", tmp_path / "home")
    assert done.returncode == 0, done.stderr
    size, root, first, *notes = done.stdout.splitlines()
    assert size == "98"
    assert notes == [
        f"hub data set {data.REPOSITORY} at {data.REVISION}",
        "only sound_generation_QA: not the benchmark's averages",
        "left out: 2 rows of sound_generation_QA_clotho, whose audio is missing or empty",
    ]
    assert "licence: CC BY-NC 4.0; the whole data set has about 49 GB" in done.stderr
    assert not list((tmp_path / "home").rglob("music_QA_musiccaps"))
    stored = ArtifactStore(tmp_path / "store").add_file(Path(first), "audio", inside=Path(root))
    assert stored.mime == "audio/wav", "although the snapshot links to it"


def test_from_the_hub_other_numbers_of_rows_are_another_revision(tmp_path: Path) -> None:
    rows = list(chat_rows(2199, 0))
    done = from_hub(hub_files(CHAT, rows, "", tmp_path), "chat", "music_QA", tmp_path / "home")
    assert done.returncode == 1
    assert "the published data set has" in done.stderr
    assert "another revision?" in done.stderr


def test_from_the_hub_a_download_that_broke_off_is_no_published_lack(tmp_path: Path) -> None:
    """1,000 rows ask how many speakers there are, 314 with audio as far as is known; 290 are too few."""
    task = "Speaker_Number_Verification"
    files = hub_files(FOUNDATION, list(foundation_rows(24683, 0)), task, tmp_path, most=300)
    done = from_hub(files, "foundation", task, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "300"
    for name in [name for name in files if task in name][290:]:
        del files[name]
    done = from_hub(files, "foundation", task, tmp_path / "other")
    assert done.returncode == 1
    assert f"290 rows of {task}_voxceleb1 have their audio, of 314 that are known to have it" in done.stderr
