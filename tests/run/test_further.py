"""Samples that ask several requests: asked side by side, answered, exported, replayed, resumed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, completion, error, in_thread

import eval_anything
from eval_anything.errors import EvalAnythingError
from eval_anything.results.values import Results
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow, ScoreRow

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "pair_task.py")
TEXT = {"model_options": {"outputs": "text"}}


@pytest.fixture
def go(tmp_path: Path) -> Any:
    def go(model: str = "fake/echo", out: str = "run", n: int = 6, **options: Any) -> Results:
        values = {"data": f"synthetic:n={n}", "include": [PLUGIN], "agent": "none", **options}
        return eval_anything.evaluate(model, "pair_task", out=tmp_path / out, **values)

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
