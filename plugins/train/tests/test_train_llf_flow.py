"""LLF with scripted models on real sockets: what they are asked, what is kept, what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llf_kit import (
    advising,
    answering,
    dropped_of,
    number,
    pairs_of,
    prompts,
    run,
    settings_of,
    words,
)
from servers.openai_server import Call, OpenAIServer, completion, error, in_thread

from eval_anything.errors import DataError, EvalAnythingError, RunConflict, UnknownName, UsageError
from eval_anything.stores.journal import read_rows
from eval_anything.values import Text
from eval_anything_train.data import source
from eval_anything_train.llf.manifest import read_llf
from eval_anything_train.values import Feedback, Pair


@pytest.fixture
def initial() -> Iterator[OpenAIServer]:
    with in_thread(OpenAIServer(answering)) as server:
        yield server


@pytest.fixture
def adviser() -> Iterator[OpenAIServer]:
    with in_thread(OpenAIServer(advising)) as server:
        yield server


def test_answers_feedback_and_better_answers_become_pairs_and_every_text_is_kept(
    tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    prompts(tmp_path, 4, source="mine")
    outcome = run(settings_of(tmp_path, initial.url, adviser.url, seed=3))
    found = pairs_of(tmp_path / "llf")
    assert [pair.id for pair in found] == ["p0", "p1", "p2", "p3"]
    assert found[2] == Pair(
        id="p2",
        messages=found[2].messages,
        chosen=(Text("Better answer 2"),),
        rejected=(Text("Answer 2"),),
        feedback_rejected=Feedback(critique="answer 2 is terse.", refinement="Make 2 better."),
        metadata={
            "from": "llf",
            "critique": "##Critique: answer 2 is terse.\n##Refinement: Make 2 better.",
            "states": {"respond": "ok", "critique": "ok", "refine": "ok"},
            "model": "openai/initial",
            "feedback_model": "openai/adviser",
            "seed": 3,
            "prompt": {"source": "mine", "n": 2},
        },
    )
    assert {name: done.counts for name, done in outcome.manifest.stages.items()} == {
        "respond": {"asked": 4, "ok": 4},
        "critique": {"asked": 4, "ok": 4},
        "refine": {"asked": 4, "ok": 4},
        "pairs": {"pairs": 4},
    }
    # What was made is training data by its path.
    assert source.load(str(tmp_path / "llf" / "pairs" / "pairs.jsonl"), Pair).records[2] == found[2]


def test_each_model_is_asked_in_the_form_of_the_paper(
    tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    prompts(tmp_path, 1)
    run(settings_of(tmp_path, initial.url, adviser.url, instruct=False))
    first, again = (call.body for call in initial.calls)
    (critique,) = (call.body for call in adviser.calls)
    assert [words(m) for m in first["messages"]] == ["Question 00?"]
    assert [(m["role"], words(m)) for m in critique["messages"]] == [
        ("user", "##Prompt: Question 00?\n##Response: Answer 0\nYour critique and refinement:")
    ]
    assert [m["role"] for m in again["messages"]] == ["user", "assistant", "user"]
    assert [words(m) for m in again["messages"][:2]] == ["Question 00?", "Answer 0"]
    assert "\n\n##Critique: answer 0 is terse.\n##Refinement: Make 0 better.\n\n" in words(
        again["messages"][2]
    )
    assert (first["temperature"], first["repetition_penalty"]) == (1.0, 1.1)
    limits = [b.get("max_tokens", b.get("max_completion_tokens")) for b in (first, critique, again)]
    assert limits == [2048, 2048, 4096]
    assert len({first["seed"], critique["seed"], again["seed"]}) == 3  # no two stages draw alike


def test_a_model_behind_an_api_is_told_what_feedback_is_unless_it_must_not_be(
    tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    prompts(tmp_path, 1)
    run(settings_of(tmp_path, initial.url, adviser.url))
    told, asked = adviser.calls[0].body["messages"]
    assert told["role"] == "system" and "##Critique:" in words(told) and "##Refinement:" in words(told)
    assert words(asked).startswith("##Prompt: Question 00?")


def test_without_feedback_the_model_just_answers_again(tmp_path: Path, initial: OpenAIServer) -> None:
    prompts(tmp_path, 2)
    settings = settings_of(tmp_path, initial.url, feedback_model="none")
    outcome = run(settings)
    assert "critique" not in outcome.manifest.stages
    assert initial.count == 4
    again = initial.calls[-1].body["messages"]
    assert "##" not in words(again[2]) and "review" not in words(again[2])
    (pair, _) = pairs_of(tmp_path / "llf")
    assert pair.feedback_rejected is None and "critique" not in pair.metadata
    assert pair.metadata["feedback_model"] is None


def test_prompts_of_which_no_pair_can_be_made_are_counted_with_all_that_was_said(tmp_path: Path) -> None:
    first: dict[int, Any] = {
        0: "fine",
        1: "the same",
        2: error(400, "no"),
        4: completion("cut, too", finish_reason="length"),
        6: "\n",
    }
    second: dict[int, Any] = {0: "  ", 1: "the  same\n", 3: completion("cut o", finish_reason="length")}

    def initial(call: Call) -> Any:
        said = second if len(call.body["messages"]) > 2 else first
        return said.get(number(call), answering(call))

    def adviser(call: Call) -> Any:
        return " " if number(call) == 5 else advising(call)

    prompts(tmp_path, 8)
    with in_thread(OpenAIServer(initial)) as one, in_thread(OpenAIServer(adviser)) as two:
        outcome = run(settings_of(tmp_path, one.url, two.url, error_budget=0.2))
        stages = {name: done.counts for name, done in outcome.manifest.stages.items()}
        assert (one.count, two.count) == (8 + 5, 6)
    assert dropped_of(tmp_path / "llf") == {
        "p0": "empty refined answer",
        "p1": "identical",
        "p2": "no answer",
        "p3": "truncated",
        "p5": "empty feedback",
        "p6": "empty answer",
    }
    assert [pair.id for pair in pairs_of(tmp_path / "llf")] == [
        "p4",
        "p7",
    ]  # a cut answer may be the worse one
    assert stages["respond"] == {"asked": 8, "empty": 1, "error": 1, "ok": 5, "truncated": 1}
    assert stages["pairs"]["pairs"] == 2 and stages["pairs"]["identical"] == 1
    rows = [json.loads(line) for line in (tmp_path / "llf/pairs/dropped.jsonl").read_text().splitlines()]
    assert rows[1] == {
        "id": "p1",
        "why": "identical",
        "response": "the same",
        "critique": "##Critique: answer 1 is terse.\n##Refinement: Make 1 better.",
        "refined": "the  same\n",
    }
    assert "pairs:    2 pairs, " in outcome.text


def test_cut_answers_are_kept_where_that_is_asked_for(tmp_path: Path, adviser: OpenAIServer) -> None:
    prompts(tmp_path, 2)
    with in_thread(OpenAIServer(lambda c: completion(answering(c), finish_reason="length"))) as server:
        run(settings_of(tmp_path, server.url, adviser.url, keep_truncated=True))
    assert [p.metadata["states"]["refine"] for p in pairs_of(tmp_path / "llf")] == ["truncated"] * 2


def test_no_pair_at_all_is_an_error_that_says_why(tmp_path: Path, adviser: OpenAIServer) -> None:
    prompts(tmp_path, 2)
    with in_thread(OpenAIServer("always the same")) as server:
        settings = settings_of(tmp_path, server.url, adviser.url)
        with pytest.raises(DataError, match="no pair: 2 identical of 2 prompts"):
            run(settings)
    assert not (tmp_path / "llf" / "pairs").exists()


def test_each_stage_is_a_command_of_its_own_and_none_is_done_twice(
    tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    prompts(tmp_path)
    for stage, asked in (("respond", (4, 0)), ("critique", (4, 4)), ("refine", (8, 4)), ("pairs", (8, 4))):
        run(settings_of(tmp_path, initial.url, adviser.url, stages=[stage]))
        assert (initial.count, adviser.count) == asked
    before = (tmp_path / "llf" / "pairs" / "pairs.jsonl").stat()
    outcome = run(settings_of(tmp_path, initial.url, adviser.url))
    assert (initial.count, adviser.count) == (8, 4)
    assert (tmp_path / "llf" / "pairs" / "pairs.jsonl").stat() == before
    assert len(outcome.manifest.resumed) == 4
    written = read_llf(tmp_path / "llf")
    assert written is not None and written.stages == outcome.manifest.stages


@pytest.mark.parametrize("stage", ["critique", "refine", "pairs"])
def test_a_stage_without_the_one_before_it_is_refused(
    stage: str, tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    prompts(tmp_path)
    with pytest.raises(UsageError, match=r"stage respond is not finished in .*llf: add it to --stages"):
        run(settings_of(tmp_path, initial.url, adviser.url, stages=[stage]))
    assert initial.count == adviser.count == 0


def test_what_failed_is_not_asked_again_once_its_stage_is_finished(
    tmp_path: Path, adviser: OpenAIServer
) -> None:
    """Later stages stand on it: they would be about other answers."""
    down = {"now": True}

    def script(call: Call) -> Any:
        return error(400, "no") if down["now"] and number(call) == 1 else answering(call)

    prompts(tmp_path)
    with in_thread(OpenAIServer(script)) as server:
        options = {"error_budget": 0.5}
        run(settings_of(tmp_path, server.url, adviser.url, stages=["respond", "critique"], **options))
        down["now"] = False
        run(settings_of(tmp_path, server.url, adviser.url, **options))
        assert server.count == 4 + 3
    assert dropped_of(tmp_path / "llf") == {"p1": "no answer"}


def test_an_outage_ends_a_stage_early_and_the_same_call_goes_on(
    tmp_path: Path, initial: OpenAIServer
) -> None:
    down = {"now": True}

    def script(call: Call) -> Any:
        return error(500, "down") if down["now"] and number(call) > 1 else advising(call)

    prompts(tmp_path, 6)
    with in_thread(OpenAIServer(script)) as adviser:
        more = {"feedback_options": {"base_url": adviser.url, "retries": 0, "concurrency": 1}}
        settings = settings_of(tmp_path, initial.url, **more)
        with pytest.raises(EvalAnythingError, match=r"critique are not complete: .* error budget"):
            run(settings)
        done = read_llf(tmp_path / "llf")
        assert done is not None and list(done.stages) == ["respond"]
        down["now"], asked = False, adviser.count
        run(settings)
        assert adviser.count - asked == 4
    assert initial.count == 12
    assert len(pairs_of(tmp_path / "llf")) == 6


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"seed": 1}, "respond.seed: "),
        ({"respond": {"temperature": 0.5}}, "respond.model.params.temperature: 1.0 -> 0.5"),
        ({"generator": "openai/other"}, "respond.model.spec: 'openai/initial' -> 'openai/other'"),
        ({"limit": 2}, "respond.data.revision: "),
        ({"critique": {"max_tokens": 9}}, "respond.model.params.max_tokens: 2048 -> 9"),
        ({"feedback_model": "openai/other"}, "'openai/adviser' -> 'openai/other'"),
        ({"instruct": False}, "respond.task.instruct: "),
        ({"refine": {"repetition_penalty": 1}}, "params.extra: {'repetition_penalty': 1.1} -> None"),
        ({"feedback_model": "none"}, "respond.task.alone: None -> "),
        ({"keep_truncated": True}, "pairs made of something else:\n  keep_truncated: False -> True"),
    ],
)
def test_what_was_made_with_another_configuration_is_refused_with_the_difference(
    more: dict[str, Any], told: str, tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    prompts(tmp_path)
    run(settings_of(tmp_path, initial.url, adviser.url))
    asked = initial.count, adviser.count
    before = {path: path.read_bytes() for path in (tmp_path / "llf").rglob("*.jsonl")}
    with pytest.raises(RunConflict, match=re.escape(told)):
        run(settings_of(tmp_path, initial.url, adviser.url, **more))
    assert (initial.count, adviser.count) == asked
    assert {path: path.read_bytes() for path in (tmp_path / "llf").rglob("*.jsonl")} == before


def test_other_templates_make_another_configuration(
    tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    prompts(tmp_path)
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "refine.md").write_text("Mind this, and try again: {feedback}")
    run(settings_of(tmp_path, initial.url, adviser.url, templates=str(templates)))
    told = words(initial.calls[-1].body["messages"][2])
    assert told.startswith("Mind this, and try again: ##Critique: ")
    with pytest.raises(RunConflict, match=r"respond\.task\.refine: "):
        run(settings_of(tmp_path, initial.url, adviser.url))
    (templates / "refine.md").write_text("Try again.")
    with pytest.raises(DataError, match=r"prompt refine from .*templates: no \{feedback\}"):
        run(settings_of(tmp_path, initial.url, adviser.url, templates=str(templates)))


@pytest.mark.parametrize(
    ("more", "kind", "told"),
    [
        ({"stages": ["resond"]}, UnknownName, "--stages: unknown value 'resond'; did you mean 'respond'"),
        ({"dpo": {"lrr": 1}}, UnknownName, "--dpo: unknown setting 'lrr'; did you mean 'lr'"),
        ({"ppo": {"lr": "fast"}}, UsageError, "--ppo: lr: Expected `float`"),
        ({"feedback": {"data": "x"}}, UsageError, "--feedback: data: llf decides that itself"),
        ({"generator_options": {"base_ur": "x"}}, UnknownName, "did you mean 'base_url'"),
        ({"feedback_options": {"temprature": 1}}, UnknownName, "did you mean 'temperature'"),
        ({"feedback_model": "train", "feedback_options": {"batch": 1}}, UnknownName, "'batch_size'"),
        ({"only_preferred": True}, UsageError, "--only-preferred: --compare must name the judge"),
        ({"compare": "refrence"}, UnknownName, "did you mean 'reference'"),
        ({"compare": "rubric"}, UsageError, "judge 'rubric' needs a model"),
        ({"compare": "reference"}, UsageError, "the offline judge needs synthetic data"),
        ({"templates": "missing"}, DataError, "no such folder: missing"),
        ({"feedback_share": 0}, UsageError, "--feedback-share: Expected `float` > 0.0"),
        ({"data": "missing.jsonl"}, DataError, "missing.jsonl"),
        (
            {"outputs": ["audio"], "feedback_options": {"inputs": "text"}},
            UsageError,
            "openai/initial does not give",
        ),
        (
            {"data": "synthetic:ta2t,n=2", "feedback_options": {"inputs": "text"}},
            UsageError,
            "openai/adviser does",
        ),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_asked_and_leaves_nothing(
    more: dict[str, Any], kind: type[Exception], told: str, tmp_path: Path, initial: OpenAIServer
) -> None:
    prompts(tmp_path)
    with pytest.raises(kind) as fault:
        run(settings_of(tmp_path, initial.url, initial.url, **more))
    assert told in str(fault.value)
    assert initial.count == 0
    assert not (tmp_path / "llf").exists()


def test_a_directory_with_something_else_is_refused(tmp_path: Path, initial: OpenAIServer) -> None:
    prompts(tmp_path)
    out = tmp_path / "llf"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(RunConflict, match="exists and is no run of llf"):
        run(settings_of(tmp_path, initial.url, initial.url))
    (out / "manifest.json").write_text('{"method": "dpo"}')
    with pytest.raises(RunConflict, match="holds no run of llf"):
        run(settings_of(tmp_path, initial.url, initial.url))


def test_no_password_in_any_file(
    tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts(tmp_path)
    url = initial.url.replace("http://", "http://user:hunter2-password@")
    run(settings_of(tmp_path, url, adviser.url))
    written = [path for path in (tmp_path / "llf").rglob("*") if path.is_file()]
    assert len(written) > 8
    assert not [path for path in written if b"hunter2" in path.read_bytes()]
    monkeypatch.setattr("sys.argv", ["eval-anything", "--generator-options", f"base_url={url}"])
    with pytest.raises(UsageError, match="put it into --config FILE"):
        run(settings_of(tmp_path, url, adviser.url))


def test_media_stay_in_the_first_turn_of_each_conversation(
    tmp_path: Path, initial: OpenAIServer, adviser: OpenAIServer
) -> None:
    run(settings_of(tmp_path, initial.url, adviser.url, data="synthetic:ti2t,n=2", instruct=False))

    def kinds(message: Any) -> list[str]:
        content = message["content"]
        return ["text"] if isinstance(content, str) else [part["type"] for part in content]

    first, *_, again = (call.body["messages"] for call in initial.calls)
    critique = adviser.calls[0].body["messages"]
    assert kinds(first[0]) == ["image_url", "text"]
    assert kinds(critique[0]) == ["text", "image_url", "text"]
    assert [kinds(message) for message in again] == [["image_url", "text"], ["text"], ["text"]]
    pair = pairs_of(tmp_path / "llf")[0]
    rows = [row for row in read_rows(tmp_path / "llf/refine/journal.jsonl") if row.id == pair.id]
    assert len(rows) == 1
    assert Path(pair.messages[0].parts[0].path).is_file()  # type: ignore[union-attr]


def test_an_image_may_be_the_answer(tmp_path: Path, adviser: OpenAIServer) -> None:
    """A model that draws, by the test model's own pictures."""
    prompts(tmp_path, 2)
    more = {"generator": "fake/echo", "generator_options": {}, "outputs": ["text", "image"]}
    run(settings_of(tmp_path, "", adviser.url, **more))
    pair = pairs_of(tmp_path / "llf")[0]
    for answer in (pair.chosen, pair.rejected):
        text, drawn = answer
        assert isinstance(text, Text)
        assert Path(drawn.path).read_bytes().startswith(b"\x89PNG")  # type: ignore[union-attr]
    shown = adviser.calls[0].body["messages"][-1]["content"]
    assert [part["type"] for part in shown] == ["text", "image_url", "text"]
