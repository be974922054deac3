"""AMG's files as the hub, a folder and the twin hold them, whole and damaged."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.hub_server import HubServer

from eval_anything.errors import DataError, MissingExtra
from eval_anything.records import revision_of
from eval_anything.tasks.amg import data
from eval_anything.tasks.amg.twin import write_instructions, write_selection

VOTES = {"t": 0.2, "i": 0.0, "a": 0.0, "ta": 0.08, "ti": 0.6, "ia": 0.0, "tia": 0.12}


def prompt(**changes: Any) -> dict[str, Any]:
    return {"prompt_id": "p1", "prompt": "Draw.", "kept": "out of the way", **changes}


def question(**changes: Any) -> dict[str, Any]:
    asked = {"question_id": "q1", "question": "What?", "choice": "A. a\nB. b\nC. c\nD. d", "answer": "B"}
    return {**prompt(), **asked, **changes}


def instruction(**changes: Any) -> dict[str, Any]:
    return {"instruction_uid": "u1", "instruction": "Tell me.", "selection": VOTES, **changes}


def without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def listed(path: Path, rows: Any) -> Path:
    path.write_text(json.dumps(rows))
    return path


def in_lines(folder: Path, rows: list[Any]) -> Path:
    (folder / data.JSONL).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_prompts_are_read_from_a_list_and_from_lines_and_numeric_ids_become_text(tmp_path: Path) -> None:
    rows = [prompt(prompt_id=1), prompt(prompt_id=2, prompt="Sing.")]
    as_list = data.read_prompts(listed(tmp_path / "list.json", rows))
    lines = tmp_path / "lines.json"
    lines.write_text("\n".join(json.dumps(row) for row in rows))
    assert as_list == data.read_prompts(lines)
    assert [(p.prompt_id, p.prompt) for p in as_list] == [("1", "Draw."), ("2", "Sing.")]
    assert revision_of(as_list) != revision_of(as_list[:1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([prompt(), without(prompt(prompt_id="p2"), "prompt")], r"row 1 \(prompt_id 'p2'\).*`prompt`"),
        ([prompt(prompt=3)], r"row 0 \(prompt_id 'p1'\).*\$\.prompt"),
        ([without(prompt(), "prompt_id")], r"row 0: .*`prompt_id`"),
        ([prompt(prompt_id=True)], r"row 0.*prompt_id"),
        ([prompt(), prompt()], "row 1: prompt_id 'p1' occurs twice"),
        (["text"], "row 0: Expected `object`"),
        ([], "no rows"),
    ],
)
def test_a_wrong_prompt_row_is_named_with_file_and_field(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"test\.json.*{message}"):
        data.read_prompts(listed(tmp_path / "test.json", rows))


def test_questions_are_grouped_by_prompt_wherever_they_stand(tmp_path: Path) -> None:
    rows = [
        question(),
        question(prompt_id="p2", prompt="Sing.", answer=" d "),
        question(question_id="q2", answer="A"),
    ]
    first, second = data.read_questions(listed(tmp_path / "test.json", rows))
    assert (first.prompt_id, [q.question_id for q in first.questions]) == ("p1", ["q1", "q2"])
    assert [q.answer for q in (*first.questions, *second.questions)] == ["B", "A", "D"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([question(answer="E")], r"row 0 \(prompt_id 'p1'\): unknown answer 'E'"),
        ([question(answer="")], "row 0.*unknown answer ''"),
        ([without(question(), "choice")], "row 0.*`choice`"),
        ([question(choice=["a", "b"])], r"row 0.*\$\.choice"),
        ([question(), question()], "row 1.*question_id 'q1' occurs twice"),
        ([question(), question(question_id="q2", prompt="Other.")], "row 1.*field `prompt` differs"),
    ],
)
def test_a_wrong_question_row_is_named_with_file_and_field(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"test\.json.*{message}"):
        data.read_questions(listed(tmp_path / "test.json", rows))


@pytest.mark.parametrize(
    "text",
    [
        '[{"prompt_id": ',
        '{"prompt_id": "1"}\n{"prompt',
        "\x00",
        '{"prompt_id": }',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_file_that_is_not_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "test.json").write_text(text)
    with pytest.raises(DataError, match=r"test\.json: neither a JSON list nor JSON lines"):
        data.read_prompts(tmp_path / "test.json")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data/text_instruct/test\.json: not there; expected data/MODALITY"):
        data.read_prompts(tmp_path / data.instruction_file("text"))
    with pytest.raises(DataError, match=rf"{data.JSONL}: not there.*{data.PARQUET}"):
        data.read_instructions(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (instruction(selection=without(VOTES, "ia")), "`selection` lacks the key 'ia'"),
        (instruction(selection={**VOTES, "at": 0.0}), "unknown key of `selection` 'at'"),
        (instruction(selection={**VOTES, "t": 0.5}), r"sum to 1\.300"),
        (instruction(selection={**VOTES, "t": -0.2, "ti": 1.0}), r"`selection\.t` is -0\.2"),
        (instruction(selection={**VOTES, "t": None}), "selection"),
        (instruction(selection=[1.0]), "selection"),
        (without(instruction(), "instruction"), "`instruction`"),
        (instruction(instruction_uid="u0"), "instruction_uid 'u0' occurs twice"),
    ],
)
def test_wrong_votes_are_named_with_row_and_key(tmp_path: Path, row: Any, message: str) -> None:
    in_lines(tmp_path, [instruction(instruction_uid="u0"), row])
    with pytest.raises(DataError, match=rf"{data.JSONL}, row 1.*{message}"):
        data.read_instructions(tmp_path)


@given(st.lists(st.integers(0, 25), min_size=7, max_size=7))
def test_votes_are_accepted_where_they_sum_to_one_within_the_tolerance(counts: list[int]) -> None:
    votes = {name: n / 25 for name, n in zip(data.COMBINATIONS, counts, strict=True)}
    if sum(counts) == 25:
        data._check_votes("row", votes)
    else:
        with pytest.raises(DataError, match="sum to"):
            data._check_votes("row", votes)


def test_parquet_and_lines_hold_the_same_rows_and_are_the_same_data(tmp_path: Path) -> None:
    write_selection(tmp_path / "both", 9, 4)
    from_parquet = data.read_instructions(tmp_path / "both")
    (tmp_path / "both" / data.PARQUET).unlink()
    from_lines = data.read_instructions(tmp_path / "both")
    assert from_parquet == from_lines
    assert revision_of(from_parquet) == revision_of(from_lines)


def test_the_parquet_file_counts_where_both_are_there(tmp_path: Path) -> None:
    write_selection(tmp_path / "both", 9, 4)
    in_lines(tmp_path / "both", [instruction()])
    assert len(data.read_instructions(tmp_path / "both")) == 9


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    write_selection(tmp_path / "cut", 9, 4)
    path = tmp_path / "cut" / data.PARQUET
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{data.PARQUET}: not readable as parquet"):
        data.read_instructions(tmp_path / "cut")


def test_a_parquet_file_of_something_else_is_named_with_its_field(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"instruction_uid": ["u1"], "text": ["a"]}), tmp_path / data.PARQUET)
    with pytest.raises(DataError, match=r"row 0 \(instruction_uid 'u1'\).*`instruction`"):
        data.read_instructions(tmp_path)


def test_without_pyarrow_lines_are_read_and_a_lone_parquet_file_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_selection(tmp_path / "both", 9, 4)
    (tmp_path / "both" / data.PARQUET).touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert len(data.read_instructions(tmp_path / "both")) == 9
    (tmp_path / "both" / data.JSONL).unlink()
    with pytest.raises(MissingExtra, match=r"pip install 'eval-anything\[hub\]'"):
        data.read_instructions(tmp_path / "both")


OPEN = """
import sys
from eval_anything.errors import DataError
from eval_anything.options import parse
from eval_anything.records import revision_of
from eval_anything.task import DataSource
from eval_anything.tasks.amg.instruction import InstructionAudio
from eval_anything.tasks.amg.selection import Selection
task = {"audio": InstructionAudio, "selection": Selection}[sys.argv[1]]
try:
    dataset = task(parse(task.Options, {"revision": sys.argv[2]}, "-T")).open(DataSource(kind="hub"))
except DataError as fault:
    sys.exit(f"DataError: {fault}")
print(dataset.size, *dataset.notes)
"""


def from_hub(url: str, task: str, revision: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's library reads its endpoint when it is imported."""
    own = {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    own |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, "-c", OPEN, task, revision],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **own, **more},
    )


def with_hub(
    repository: str, revision: str, files: Mapping[str, bytes], use: Callable[[HubServer], None]
) -> None:
    async def serve() -> None:
        async with HubServer(repository, revision, files) as server:
            await asyncio.to_thread(use, server)

    asyncio.run(serve())


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_one_config_is_fetched_from_the_hub_and_the_commit_behind_a_branch_is_noted(tmp_path: Path) -> None:
    write_instructions(tmp_path / "audio", "audio", 5, 0)
    files = {**files_below(tmp_path / "audio"), data.instruction_file("video"): b"not asked for"}
    commit = "0123456789" * 4

    def use(server: HubServer) -> None:
        done = from_hub(server.url, "audio", commit, tmp_path / "home")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"5 hub data set {data.INSTRUCTIONS} at {commit}"
        fetched = [path for path in server.asked if "resolve" in path]
        assert fetched
        assert all(path.endswith("data/audio_instruct/test.json") for path in fetched)
        before = len(server.asked)
        assert from_hub(server.url, "audio", commit, tmp_path / "home", HF_HUB_OFFLINE="1").returncode == 0
        assert len(server.asked) == before

    with_hub(data.INSTRUCTIONS, commit, files, use)
    refs = next((tmp_path / "home").rglob("snapshots")).parent / "refs"
    refs.mkdir(exist_ok=True)
    (refs / "main").write_text(commit)  # what the hub's library keeps of a branch that it has resolved
    done = from_hub("http://127.0.0.1:9", "audio", "main", tmp_path / "home", HF_HUB_OFFLINE="1")
    assert done.stdout.strip().endswith(f"at main (commit {commit})"), done.stderr


def test_selection_is_fetched_at_its_pinned_commit(tmp_path: Path) -> None:
    write_selection(tmp_path / "selection", 6, 0)

    def use(server: HubServer) -> None:
        done = from_hub(server.url, "selection", data.SELECTION_REVISION, tmp_path / "home")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(
            "6 hub data set PKU-Alignment/EvalAnything-Selection_Synergy at 5f2a0e1"
        )
        done = from_hub(server.url, "selection", "f" * 40, tmp_path / "home")
        assert done.returncode == 1
        line, fault = done.stderr.splitlines()
        assert line.endswith("licence: CC BY-NC 4.0 (data)"), "shown before the download"
        assert fault.startswith("DataError: hub data set PKU-Alignment/EvalAnything-Selection_Synergy")
        assert "--data synthetic" in done.stderr

    with_hub(data.SELECTION, data.SELECTION_REVISION, files_below(tmp_path / "selection"), use)


def test_a_hub_without_the_file_is_named(tmp_path: Path) -> None:
    def use(server: HubServer) -> None:
        done = from_hub(server.url, "audio", "a" * 40, tmp_path / "home")
        assert done.returncode == 1
        assert "data/audio_instruct/test.json: not there" in done.stderr, done.stderr

    with_hub(data.INSTRUCTIONS, "a" * 40, {"README.md": b"moved"}, use)


fields = st.sampled_from(
    ["prompt_id", "prompt", "question_id", "question", "choice", "answer", "instruction_uid", "instruction"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(fields | st.text(max_size=3), inner, max_size=9)
    ),
    max_leaves=20,
)


@settings(max_examples=60)
@given(rows=anything | st.lists(st.dictionaries(fields, anything | st.sampled_from("ABCD"), max_size=9)))
def test_whatever_the_json_it_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    listed(folder / data.JSONL, rows)
    for read in (
        lambda: data.read_prompts(folder / data.JSONL),
        lambda: data.read_questions(folder / data.JSONL),
        lambda: data.read_instructions(folder),
    ):
        try:
            found = read()
        except DataError as fault:
            assert data.JSONL in str(fault)
        else:
            assert found
