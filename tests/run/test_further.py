"""Samples that ask several requests: asked side by side, answered, exported, replayed, resumed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, completion, echoing, error, in_thread, plain_completion

import eval_anything
from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything.results.values import Results
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow, ScoreRow

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "pair_task.py")


@pytest.fixture
def go(tmp_path: Path) -> Any:
    def go(
        model: str = "fake/echo", out: str = "run", n: int = 6, task: str = "pair_task", **options: Any
    ) -> Results:
        values = {"data": f"synthetic:n={n}", "include": [PLUGIN], "agent": "none", **options}
        return eval_anything.evaluate(model, task, out=tmp_path / out, **values)

    return go


def responses(folder: Path) -> dict[str, ResponseRow]:
    found = [row for row in read_rows(folder / "journal.jsonl") if isinstance(row, ResponseRow)]
    return {row.id: row for row in found}


def scores(folder: Path) -> dict[str, float | None]:
    found = [row for row in read_rows(folder / "journal.jsonl") if isinstance(row, ScoreRow)]
    return {row.id: row.score.value for row in found}


def test_each_request_has_its_own_answer_in_order(go: Any, tmp_path: Path) -> None:
    results = go(n=2)
    row = responses(tmp_path / "run")["1"]
    # The same question twice is two draws: the second one gets an answer of its own.
    assert [answer.parts[0].text for answer in row.response.answers] == [
        "You said: Question 1, first",
        "You said: Question 1, again",
        "You said: Question 1, again\n(answer 2)",
    ]
    assert row.response.parts == tuple(part for a in row.response.answers for part in a.parts)
    assert row.response.usage.requests == 3
    assert results.tasks[0].model_usage.requests == 6
    assert (results.tasks[0].counts.planned, results.tasks[0].counts.scored) == (2, 2)


def test_repeats_never_draw_the_same_answer_twice(go: Any, tmp_path: Path) -> None:
    go(n=1, repeats=3)
    found = [r for r in read_rows(tmp_path / "run" / "journal.jsonl") if isinstance(r, ResponseRow)]
    again = [answer.parts[0].text for row in found for answer in row.response.answers[1:]]
    assert len(set(again)) == 6


def test_the_requests_of_one_sample_are_asked_side_by_side(go: Any) -> None:
    began = time.monotonic()
    go(n=1, model_options={"delay_s": 0.5})
    assert time.monotonic() - began < 1.2


def test_exported_samples_replay_to_the_same_scores(go: Any, tmp_path: Path) -> None:
    first = go(out="first", model_options={"fault": "truncated", "fault_rate": 0.3})
    again = go(f"replay/{tmp_path / 'first' / 'samples_pair_task.jsonl'}", out="again")
    assert first.tasks[0].headline.value == again.tasks[0].headline.value
    assert scores(tmp_path / "first") == scores(tmp_path / "again")
    before, after = responses(tmp_path / "first"), responses(tmp_path / "again")
    states = {name: [a.state for a in row.response.answers] for name, row in before.items()}
    assert states == {name: [a.state for a in row.response.answers] for name, row in after.items()}
    assert {state for row in states.values() for state in row} == {"ok", "truncated"}


def test_recorded_texts_are_answers(go: Any, tmp_path: Path) -> None:
    recording = tmp_path / "r.jsonl"
    rows = [{"id": 0, "answers": ["a", "bc", "def"]}, {"id": 1, "response": "alone"}]
    recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = go(f"replay/{recording}", n=2, error_budget=1.0).tasks[0]
    assert scores(tmp_path / "run") == {"0": (1 + 200 + 30000) / 1e4 - 0, "1": None}
    assert (task.counts.skipped, task.counts.scored) == (1, 1)


def test_texts_are_scored_where_the_sample_gives_them(go: Any, tmp_path: Path) -> None:
    options = {"task": "choice_task", "model_options": {"reply": "B"}}
    task = go("fake/constant", n=3, **options).tasks[0]
    assert task.headline.value == 1.0
    row = responses(tmp_path / "run")["2"]
    assert [answer.likelihood is not None for answer in row.response.answers] == [True, True, True, False]
    assert [answer.text for answer in row.response.answers] == ["", "", "", "B"]
    assert task.counts.empty == 0
    exported = tmp_path / "run" / "samples_choice_task.jsonl"
    (first, *_) = [json.loads(line) for line in exported.read_text().splitlines()]
    assert first["continuations"] == ["A", "B", "C", None]
    assert first["params"] == {"temperature": 0.5, "max_tokens": 3}
    again = go(f"replay/{exported}", "again", task="choice_task", n=3)
    assert again.tasks[0].headline.value == 1.0
    assert scores(tmp_path / "again") == scores(tmp_path / "run")


def test_requests_carry_the_parameters_of_their_sample_and_those_of_the_user(go: Any) -> None:
    def script(call: Any) -> Any:
        return echoing(call) if call.body.get("echo") or call.body["max_tokens"] == 1 else plain_completion()

    with in_thread(OpenAIServer(script)) as server:
        options = {"base_url": server.url, "top_p": 0.9}
        go("openai/m", n=1, task="choice_task", model_options=options, seed=1)
        answered = [call.body for call in server.calls if call.body["max_tokens"] == 3]
    assert len(answered) == 1
    assert (answered[0]["temperature"], answered[0]["top_p"]) == (0.5, 0.9)
    assert answered[0]["prompt"] == "Question 0: "


def test_a_model_that_cannot_be_asked_like_that_is_refused_first(go: Any) -> None:
    with pytest.raises(UsageError, match="choice_task sends plain prompts, which openai/gpt-4o does not"):
        go("openai/gpt-4o", task="choice_task")


def test_an_agent_answers_every_request(go: Any, tmp_path: Path) -> None:
    slots = "[[response]]: words\n[[image_instruction]]: a fox\n"
    options = {"model_options": {"reply": slots, "outputs": "text"}, "agent": "text-protocol"}
    task = go("fake/constant", n=2, **options).tasks[0]
    assert (task.counts.tool_calls, task.tool_usage.requests) == (6, 6)
    for row in responses(tmp_path / "run").values():
        assert [answer.selected for answer in row.response.answers] == [("text", "image")] * 3


def test_one_failed_request_fails_the_sample_and_all_are_asked_again(go: Any, tmp_path: Path) -> None:
    down = {"now": True}

    def script(call: Any) -> Any:
        return error(400, "no") if down["now"] and "first" in str(call.body) else completion("yes")

    with in_thread(OpenAIServer(script)) as server:
        options = {"model_options": {"base_url": server.url, "outputs": "text,image"}, "error_budget": 1.0}
        before = go("openai/m", n=3, **options).tasks[0]
        down["now"] = False
        after = go("openai/m", n=3, **options).tasks[0]
        assert server.count == 18
    assert (before.counts.errors, before.counts.scored) == ({"bad_request": 3}, 0)
    assert (after.counts.errors, after.counts.scored) == ({}, 3)


def test_a_refused_key_ends_the_run_as_for_any_other_sample(go: Any) -> None:
    with in_thread(OpenAIServer(error(401, "no such key"))) as server:
        options = {"model_options": {"base_url": server.url, "outputs": "text,image"}}
        with pytest.raises(EvalAnythingError, match=r"ended early.*no such key"):
            go("openai/m", n=3, **options)
