"""Whole runs of tasks of lm-evaluation-harness that need no checkpoint."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lm_eval_lab import write_tasks
from servers.openai_server import OpenAIServer, completion, echoing, error, in_thread, plain_completion

import eval_anything
from eval_anything.errors import DataError, MissingExtra, UsageError
from eval_anything.results.results import build
from eval_anything.results.values import TaskResult
from eval_anything.stores.manifest import read_manifest


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("lm_eval") / "tasks")


@pytest.fixture
def go(tasks: Path, tmp_path: Path) -> Any:
    def go(name: str, model: str = "fake/echo", out: str = "run", **options: Any) -> TaskResult:
        given = {"include_path": str(tasks), **options.pop("task_options", {})}
        named = f"lm_eval:{name}"
        return eval_anything.evaluate(model, named, out=tmp_path / out, task_options=given, **options).tasks[
            0
        ]

    return go


def exported(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.glob("samples_*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def numbers(task: TaskResult) -> dict[str, Any]:
    return {m.name: (m.value, m.low, m.high, m.n_scored) for m in task.metrics}


def test_prompts_limits_and_stop_strings_are_the_tasks_own(go: Any, tmp_path: Path) -> None:
    with in_thread(OpenAIServer(lambda _: plain_completion(" c, then b\n\nQ: a"))) as server:
        go("tiny_gen", "openai/m", model_options={"base_url": server.url}, limit=2)
        bodies = [call.body for call in server.calls]
    assert len(bodies) == 2
    for body in bodies:
        assert body["prompt"].startswith("Q: ") and body["prompt"].endswith("?\nA:")
        assert (body["max_tokens"], body["stop"], body["temperature"]) == (12, ["e", "\n\n"], 0.0)
    row = exported(tmp_path / "run")[0]
    # The server went on after a stop string: what follows is cut off before it is graded, and only there.
    assert row["judge_details"] == {"filtered": {"first": ["c"], "last": ["h"]}}
    assert row["parts"] == [{"type": "text", "text": " c, then b\n\nQ: a"}]


def test_what_the_user_says_of_decoding_wins(go: Any) -> None:
    with in_thread(OpenAIServer(lambda _: plain_completion())) as server:
        go("tiny_gen", "openai/m", model_options={"base_url": server.url, "max_tokens": 77}, limit=1)
        assert server.calls[0].body["max_tokens"] == 77


def test_with_a_chat_template_examples_are_turns(go: Any) -> None:
    how = {"apply_chat_template": True, "num_fewshot": 2, "system_instruction": "Be brief."}
    with in_thread(OpenAIServer(lambda _: completion("a"))) as server:
        go("tiny_gen", "openai/m", model_options={"base_url": server.url}, task_options=how, limit=1)
        (call,) = server.calls
    assert call.path == "/v1/chat/completions"
    roles = [turn["role"] for turn in call.body["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert call.body["messages"][0]["content"] == "Be brief."


def test_answers_to_choose_from_are_scored_by_a_server(go: Any, tmp_path: Path) -> None:
    with in_thread(OpenAIServer(echoing)) as server:
        task = go("tiny_choice", "openai/m", model_options={"base_url": server.url})
        asked = Counter(bool(call.body.get("echo")) for call in server.calls)
    assert (task.counts.scored, task.counts.empty) == (10, 0)
    # Three answers each, and once for each question how long it is.
    assert asked == {True: 30, False: 10}
    row = exported(tmp_path / "run")[0]
    assert [answer["likelihood"]["tokens"] for answer in row["answers"]] == [1, 1, 1]
    shortest = min(range(3), key=lambda place: len(row["continuations"][place]))
    likeliest = max(range(3), key=lambda place: row["answers"][place]["likelihood"]["logprob"])
    assert shortest == likeliest


def test_what_a_model_cannot_do_is_said_before_it_is_asked(go: Any) -> None:
    with in_thread(OpenAIServer(error(500, "asked"))) as server:
        local = {"base_url": server.url}
        with pytest.raises(UsageError, match="tiny_gen sends plain prompts, which openai/gpt-4o does not"):
            go("tiny_gen", "openai/gpt-4o")
        chat = {"apply_chat_template": True}
        with pytest.raises(UsageError, match="compares the likelihoods of given texts, which openai/gpt-4o"):
            go("tiny_choice", "openai/gpt-4o", task_options=chat)
        with pytest.raises(UsageError, match="likelihoods of texts after messages"):
            go("tiny_choice", "openai/m", model_options=local, task_options=chat)
        with pytest.raises(UsageError, match="likelihoods of whole texts"):
            go("tiny_texts", "openai/m", model_options=local)
        assert server.count == 0


def test_exported_samples_replay_to_the_same_numbers(go: Any, tmp_path: Path) -> None:
    for name in ("tiny_choice_more", "tiny_overlap", "tiny_votes", "tiny_texts"):
        first = go(name, "fake/echo", out=f"{name}-first", model_options={"seed": 3})
        recorded = tmp_path / f"{name}-first" / f"samples_lm_eval_{name}.jsonl"
        again = go(name, f"replay/{recorded}", out=f"{name}-again")
        assert numbers(first) == numbers(again)
        assert first.counts.scored == first.counts.planned > 0


def test_results_are_rebuilt_without_the_task(tmp_path: Path, tasks: Path) -> None:
    """From the journal alone: neither configurations nor data are there any more."""
    own = tmp_path / "own"
    shutil.copytree(tasks, own)
    run = {"task_options": {"include_path": str(own)}, "out": tmp_path / "run"}
    before = eval_anything.evaluate("fake/echo", "lm_eval:tiny_last", **run)
    shutil.rmtree(own)
    after = build(tmp_path / "run")
    assert numbers(before.tasks[0]) == numbers(after.tasks[0])
    assert (
        after.tasks[0].metrics[0].value == pytest.approx(1.7, abs=0.7) or after.tasks[0].metrics[0].value > 1
    )


def test_a_limit_leaves_something_of_each_task_of_a_group(go: Any, tmp_path: Path) -> None:
    task = go("tiny_sized", limit=6)
    groups = Counter(row["group"] for row in exported(tmp_path / "run"))
    assert groups == {"tiny_choice": 2, "tiny_second": 2, "tiny_third": 2}
    assert (task.counts.planned, task.headline.n_scored) == (6, 6)
    more = go("tiny_sized", limit=9)
    assert more.headline.n_scored == 9


def test_a_tag_and_a_group_without_a_rule_say_whose_mean_it_is(go: Any) -> None:
    for name in ("tiny_tag", "tiny_loose"):
        task = go(name, out=name)
        assert task.headline.name == "acc, plain mean (not lm-evaluation-harness's)"
        parts = [m for m in task.metrics if m.depth == 1]
        assert task.headline.value == pytest.approx(sum(m.value for m in parts) / len(parts))


def test_the_same_prompts_each_time(go: Any, tmp_path: Path) -> None:
    """Examples are drawn anew in each session: a resumed run must not get others."""
    shots = {"num_fewshot": 2}
    go("tiny_gen", out="a", task_options=shots, limit=5)
    go("tiny_gen", out="a", task_options=shots)
    go("tiny_gen", out="b", task_options=shots)
    first, second = exported(tmp_path / "a"), exported(tmp_path / "b")
    assert [row["messages"] for row in first] == [row["messages"] for row in second]
    go("tiny_gen", out="c", task_options={**shots, "fewshot_seed": 1})
    third = exported(tmp_path / "c")
    assert [row["messages"] for row in third] != [row["messages"] for row in first]


def test_a_task_that_says_it_has_no_examples_keeps_none(go: Any, tmp_path: Path) -> None:
    task = go("tiny_zero", task_options={"num_fewshot": 2}, limit=1)
    assert any("num_fewshot stays 0 in tiny_zero" in note for note in task.notes)
    (row,) = exported(tmp_path / "run")
    assert row["messages"][0]["parts"][0]["text"].count("Q:") == 1


def test_a_copy_elsewhere_is_the_same_task_and_a_change_is_not(tmp_path: Path) -> None:
    identities, revisions = [], []
    for name in ("a", "b", "c"):
        own = write_tasks(tmp_path / name)
        if name == "c":
            file = own / "tiny_overlap.yaml"
            file.write_text(file.read_text() + 'description: "Think.\\n"\n')
        options = {"include_path": str(own)}
        eval_anything.evaluate(
            "fake/echo", "lm_eval:tiny_overlap", out=tmp_path / f"run-{name}", task_options=options
        )
        (plan,) = read_manifest(tmp_path / f"run-{name}" / "manifest.json").tasks
        identities.append(plan.identity["task"]["tasks"])
        revisions.append(plan.revision)
    assert identities[0] == identities[1] != identities[2]
    assert len(set(revisions)) == 1


def test_a_folder_in_place_of_a_data_set_of_the_hub(go: Any, tmp_path: Path, tasks: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    shutil.copy(tasks / "questions.jsonl", folder / "test.jsonl")
    shutil.copy(tasks / "examples.jsonl", folder / "train.jsonl")
    task = go("tiny_elsewhere", data=str(folder))
    assert (task.counts.scored, task.data) == (10, "path")
    assert numbers(task) == numbers(go("tiny_gen", out="same"))


def test_a_data_set_that_cannot_be_had_is_named(go: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"data set nobody/has-this-set could not be had.*--data DIR"):
        go("tiny_elsewhere")
    assert "nobody/has-this-set of the hub, under its own licence" in capfd.readouterr().err


def test_tasks_that_need_what_is_not_there(go: Any) -> None:
    with pytest.raises(UsageError, match=r"runs code that models write.*unsafe_code=true"):
        go("tiny_code")
    assert go("tiny_code", task_options={"unsafe_code": True}, limit=1).counts.scored == 1
    with pytest.raises(MissingExtra, match="needs a_package_that_is_not_there"):
        go("tiny_broken")


def test_names_stay_out_of_paths_and_options_may_name_the_task(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"lm_eval:tiny_gen:include_path": str(tasks), "lm_eval:tiny_gen:num_fewshot": 1}
    eval_anything.evaluate("fake/echo", "lm_eval:tiny_gen", task_options=options, limit=1)
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
    assert made and not any(":" in str(path) for path in made)
    (row,) = exported(next((tmp_path / "runs").iterdir()))
    assert row["messages"][0]["parts"][0]["text"].count("Q:") == 2


def test_the_plain_name_stands_for_many() -> None:
    with pytest.raises(UsageError, match="lm_eval stands for many: name one"):
        eval_anything.evaluate("fake/echo", "lm_eval")


def test_listing_tasks_does_not_import_it() -> None:
    code = (
        "import sys; from eval_anything.cli.main import main; main(['ls', 'tasks']); "
        "assert not {'lm_eval', 'torch', 'numpy', 'datasets'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lm_eval:NAME runs any task of lm-evaluation-harness" in done.stdout


def test_without_lm_evaluation_harness_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['lm_eval'] = None\n"
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *rest: None if name == 'lm_eval' else find(name, *rest)\n"
        "del sys.modules['lm_eval']\n"
        "from eval_anything.cli.main import main\n"
        "sys.exit(main(['run', '--model', 'fake/echo', '--tasks', 'lm_eval:ifeval']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'eval-anything[lm-eval]'" in done.stderr
    assert done.returncode != 0
