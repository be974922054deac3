"""The twins: the benchmark's own files, the same bytes each time, and answers that follow from the prompt."""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from eval_anything.errors import DataError, UsageError
from eval_anything.synth.parse import mentions, scene_from_prompt
from eval_anything.synth.questions import answer, split_choices
from eval_anything.tasks.amg import data, twin
from eval_anything.values import MODALITIES, Modality

ASKED: tuple[Modality, ...] = ("audio", "video")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amg")
    for modality in MODALITIES:
        twin.write_instructions(folder / modality, modality, None, 0)
    twin.write_selection(folder / "selection", None, 0)
    return folder


def rows(folder: Path, modality: Modality) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(
        (folder / modality / data.instruction_file(modality)).read_text()
    )
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_the_files_are_the_benchmarks_own(twins: Path) -> None:
    assert list(files(twins / "text")) == ["data/text_instruct/test.json"]
    assert {tuple(row) for row in rows(twins, "image")} == {("prompt_id", "prompt")}
    fields = ("prompt_id", "prompt", "question_id", "question", "choice", "answer")
    assert {tuple(row) for row in rows(twins, "audio")} == {fields}
    for modality in MODALITIES:
        assert len({row["prompt_id"] for row in rows(twins, modality)}) == twin.SIZE


@pytest.mark.parametrize("modality", MODALITIES)
def test_same_size_and_seed_same_bytes(tmp_path: Path, twins: Path, modality: Modality) -> None:
    twin.write_instructions(tmp_path / "again", modality, None, 0)
    assert files(tmp_path / "again") == files(twins / modality)
    twin.write_instructions(tmp_path / "other", modality, None, 1)
    assert files(tmp_path / "other") != files(twins / modality)


def test_same_size_and_seed_same_bytes_of_selection(tmp_path: Path, twins: Path) -> None:
    twin.write_selection(tmp_path / "again", None, 0)
    assert files(tmp_path / "again") == files(twins / "selection")
    twin.write_selection(tmp_path / "other", None, 1)
    assert files(tmp_path / "other")[data.JSONL] != files(twins / "selection")[data.JSONL]


def test_a_smaller_twin_is_the_beginning_of_a_larger_one(tmp_path: Path, twins: Path) -> None:
    twin.write_instructions(tmp_path / "few", "video", 5, 0)
    twin.write_selection(tmp_path / "chosen", 5, 0)
    file = data.instruction_file("video")
    few, whole = data.read_questions(tmp_path / "few" / file), data.read_questions(twins / "video" / file)
    assert few == whole[:5]
    assert data.read_instructions(tmp_path / "chosen") == data.read_instructions(twins / "selection")[:5]


@pytest.mark.parametrize("modality", ("image", "audio", "video"))
def test_a_generator_that_reads_the_prompt_makes_the_scene_behind_the_questions(
    twins: Path, modality: Modality
) -> None:
    prompts = dict.fromkeys(row["prompt"] for row in rows(twins, modality))
    by_id = {row["prompt_id"]: row["prompt"] for row in rows(twins, modality)}
    assert len(prompts) > 0.9 * twin.SIZE or modality == "audio"
    for i, prompt in enumerate(by_id.values()):
        asked = twin.prompt_scene(modality, i, 0)
        made = scene_from_prompt(prompt, seed=i, video=modality == "video")
        assert made.objects == asked.objects, prompt
        assert [s.timbre for s in made.sounds] == [s.timbre for s in asked.sounds], prompt


@pytest.mark.parametrize("modality", ASKED)
def test_every_question_is_answered_right_by_what_the_prompt_asks_for(
    twins: Path, modality: Modality
) -> None:
    about = "audio" if modality == "audio" else "video"
    letters: Counter[str] = Counter()
    asked: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows(twins, modality):
        choices = split_choices(row["choice"])
        assert choices is not None
        for seed in (0, 1):
            made = scene_from_prompt(row["prompt"], seed, video=modality == "video")
            assert answer(row["question"], choices, made, about) == row["answer"], row
        letters[row["answer"]] += 1
        asked[row["prompt_id"]].append(row["question"])
    assert min(letters.values()) > 0.18 * letters.total(), letters
    assert len(letters) == 4
    assert all(len(set(questions)) == len(questions) for questions in asked.values())
    assert {len(questions) for questions in asked.values()} == {2, 3, 4, 5}, "weighting would not show"


def test_text_prompts_name_something_that_an_answer_can_be_held_against(twins: Path) -> None:
    for row in rows(twins, "text"):
        assert mentions(row["prompt"]), row


def test_instructions_name_what_is_seen_and_heard_and_are_all_different(twins: Path) -> None:
    found = data.read_instructions(twins / "selection")
    assert len({row.instruction for row in found}) == twin.SIZE
    for row in found:
        named = mentions(row.instruction)
        assert named.objects, row.instruction
        assert named.sounds, row.instruction


def test_votes_are_those_of_25_people_most_of_whom_follow_the_wording(twins: Path) -> None:
    first: Counter[str] = Counter()
    agreed = 0.0
    for row in data.read_instructions(twins / "selection"):
        assert tuple(row.selection) == data.COMBINATIONS
        counts = [round(share * twin.VOTERS) for share in row.selection.values()]
        assert sum(counts) == twin.VOTERS
        assert [n / twin.VOTERS for n in counts] == list(row.selection.values())
        wanted = next(c for c in data.COMBINATIONS if row.instruction.endswith(twin._REQUESTS[c]))
        first[max(row.selection, key=lambda c: row.selection[c])] += 1
        agreed += row.selection[wanted] / twin.SIZE
    assert 0.55 < agreed < 0.65
    assert set(first) == set(data.COMBINATIONS)
    assert max(first.values()) < 25


def test_the_wording_of_a_request_belongs_to_one_combination() -> None:
    wordings = [wording for request in twin._REQUESTS.values() for wording in request]
    assert len(set(wordings)) == len(wordings)
    assert not any(a != b and a.endswith(b) for a in wordings for b in wordings)
    assert not any(mentions(wording) for wording in wordings)


def test_without_pyarrow_the_lines_alone_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    twin.write_selection(tmp_path / "t", 3, 0)
    assert list(files(tmp_path / "t")) == [data.JSONL]


def test_a_twin_is_left_alone_and_nothing_else_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1 item, not 0"):
        twin.write_instructions(tmp_path / "t", "text", 0, 0)
    twin.write_instructions(tmp_path / "t", "text", 3, 0)
    twin.write_instructions(tmp_path / "t", "text", 3, 0)
    with pytest.raises(DataError, match="does not hold this twin"):
        twin.write_instructions(tmp_path / "t", "text", 3, 1)
    assert [f.name for f in tmp_path.iterdir()] == ["t"]
