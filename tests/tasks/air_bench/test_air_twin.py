"""The twins of AIR-Bench: layout, shares, known answers, the same bytes again."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from eval_anything.errors import DataError, UsageError
from eval_anything.media.probe import probe
from eval_anything.synth.audio import LEAD_S, SLOT_S
from eval_anything.synth.questions import answer as answer_to
from eval_anything.tasks.air_bench.cells import CHAT, CHAT_ROWS, FOUNDATION
from eval_anything.tasks.air_bench.twin import (
    CHAT_SIZE,
    FOUNDATION_SIZE,
    chat_rows,
    foundation_rows,
    write_chat,
    write_foundation,
)


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("write", (write_chat, write_foundation))
def test_same_n_and_seed_same_bytes(write: Callable[[Path, int, int], None], tmp_path: Path) -> None:
    for name, n, seed in (("a", 30, 1), ("b", 30, 1), ("c", 30, 2)):
        write(tmp_path / name, n, seed)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c")
    write(tmp_path / "a", 30, 1)  # it is there already
    with pytest.raises(DataError, match="does not hold this twin"):
        write(tmp_path / "a", 30, 2)
    with pytest.raises(UsageError, match="at least 1 item, not 0"):
        write(tmp_path / "d", 0, 1)


def test_the_benchmarks_own_size_has_its_own_shares() -> None:
    assert Counter(row["task_name"] for row, _ in chat_rows(2200, 0)) == CHAT_ROWS
    found = Counter(f"{row['task_name']}_{row['dataset_name']}" for row, _ in foundation_rows(24683, 0))
    assert found == {cell.name: cell.rows for cell in FOUNDATION}


def test_the_first_items_have_every_cell_and_the_default_every_cell_several_times() -> None:
    first = [f"{row['task_name']}_{row['dataset_name']}" for row, _ in foundation_rows(25, 0)]
    assert first == [cell.name for cell in FOUNDATION]
    found = Counter(
        f"{row['task_name']}_{row['dataset_name']}" for row, _ in foundation_rows(FOUNDATION_SIZE, 0)
    )
    assert (len(found), min(found.values())) == (25, 9)
    found = Counter(row["task_name"] for row, _ in chat_rows(CHAT_SIZE, 0))
    assert found == {task: rows // 25 for task, rows in CHAT_ROWS.items()}
    assert len({f"{r['task_name']}_{r['dataset_name']}" for r, _ in chat_rows(10, 0)}) == len(CHAT)


def test_recordings_last_as_long_as_their_sounds_in_the_form_that_their_cell_has(tmp_path: Path) -> None:
    write_foundation(tmp_path / "twin", 50, 3)
    for row, scene in foundation_rows(50, 3):
        folder = tmp_path / "twin" / "Foundation" / f"{row['task_name']}_{row['dataset_name']}"
        path = folder / row["path"]
        mime = "audio/mpeg" if path.suffix == ".mp3" else "audio/wav"
        if row["task_name"] == "Audio_Grounding":
            assert not path.exists()
            path, mime = path.with_suffix(".flac"), "audio/flac"
        found = probe(path, "audio")
        assert found.mime == mime
        assert found.duration_s == pytest.approx(LEAD_S + SLOT_S * len(scene.sounds), abs=0.15)


def test_the_right_answer_of_each_question_is_true_of_the_recording() -> None:
    full = 0
    for row, scene in foundation_rows(300, 0):
        choices = [row[f"choice_{letter}"] for letter in "abcd"]
        there = [choice for choice in choices if choice is not None]
        assert choices[: len(there)] == there
        assert len(set(there)) == len(there)
        assert row["answer_gt"] in there
        if len(there) == 4:
            full += 1
            letter = answer_to(row["question"], tuple(there), scene, "audio")
            assert letter is not None
            assert there["ABCD".index(letter)] == row["answer_gt"]
    assert full > 200


def test_descriptions_and_answers_of_the_chat_half_are_true_of_the_recording() -> None:
    questions = set()
    for row, scene in chat_rows(200, 0):
        told = json.loads(row["meta_info"])
        assert [(one["event"], one["pitch"]) for one in told] == [(s.timbre, s.pitch) for s in scene.sounds]
        questions.add(row["question"].split()[0:2][-1])
        if row["question"].startswith("How many sounds"):
            names = ("two", "three", "four", "five")
            assert row["answer_gt"].lower().startswith(names[len(scene.sounds) - 2])
        if row["question"].startswith("Which sound is the first"):
            assert scene.sounds[0].timbre in row["answer_gt"]
    assert len(questions) == 4
