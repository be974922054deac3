"""Agents in whole runs: what is journaled, counted, exported, replayed, resumed."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from servers.media_files import png
from servers.openai_server import OpenAIServer, completion, error, in_thread

import eval_anything
from eval_anything.errors import UsageError
from eval_anything.results.table import render
from eval_anything.results.values import Results
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow, ScoreRow

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "media_task.py")
SLOTS = "[[response]]: words\n[[image_instruction]]: a fox\n[[audio_instruction]]: None\n"


@pytest.fixture
def go(tmp_path: Path) -> Any:
    def go(model: str, task: str = "media_task", out: str = "run", n: int = 6, **options: Any) -> Results:
        values = {"data": f"synthetic:n={n}", "include": [PLUGIN], **options}
        return eval_anything.evaluate(model, task, out=tmp_path / out, **values)

    return go


def constant(reply: str) -> dict[str, Any]:
    return {"model_options": {"reply": reply, "outputs": "text"}}


def answers(folder: Path) -> list[ResponseRow]:
    return [row for row in read_rows(folder / "journal.jsonl") if isinstance(row, ResponseRow)]


def exported(folder: Path, task: str = "media_task") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"samples_{task}.jsonl").read_text().splitlines()]


def without_lineage(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "lineage"}


def test_a_model_of_text_alone_answers_by_the_protocol_and_its_tools_are_counted(
    go: Any, tmp_path: Path
) -> None:
    task = go("fake/constant", **constant(SLOTS)).tasks[0]
    assert (task.headline.value, task.counts.tool_calls, task.counts.tool_errors) == (2.0, 6, 0)
    assert (task.model_usage.requests, task.tool_usage.requests, task.tool_usage.images_out) == (6, 6, 6)
    for row in answers(tmp_path / "run"):
        assert row.response.selected == ("text", "image")
        assert [message.role for message in row.response.trace] == ["assistant", "tool"]


def test_calls_are_shown_where_there_were_any(go: Any) -> None:
    options = constant(SLOTS)
    good = render(go("fake/constant", out="a", **options), "table")
    assert "tools: 6 calls, 0 failed; 6 requests" in good
    faults = {"image": "fake/echo", "image.fault": "bad_request"}
    assert "tools: 6 calls, 6 failed" in render(
        go("fake/constant", out="b", agent_options=faults, **options), "table"
    )
    assert "tools:" not in render(go("fake/constant", out="c", **constant("words alone")), "table")


def test_a_replayed_run_has_the_same_answers_and_choices(go: Any, tmp_path: Path) -> None:
    faults = {"audio": "fake/echo", "audio.fault": "bad_request"}
    reply = SLOTS.replace("None", "rain")
    first = go("fake/constant", out="first", agent_options=faults, **constant(reply))
    again = go(f"replay/{tmp_path / 'first' / 'samples_media_task.jsonl'}", out="again")
    assert first.tasks[0].headline.value == again.tasks[0].headline.value == 3.0
    for one, other in zip(exported(tmp_path / "first"), exported(tmp_path / "again"), strict=True):
        assert one["selected"] == other["selected"] == ["text", "image", "audio"]
        assert [without_lineage(part) for part in one["parts"]] == [
            without_lineage(part) for part in other["parts"]
        ]
        assert one["parts"][1]["lineage"]["prompt"] == other["parts"][1]["lineage"]["prompt"] == "a fox"


def test_exports_tell_every_call_with_arguments_errors_and_lineage(go: Any, tmp_path: Path) -> None:
    faults = {"audio": "fake/echo", "audio.fault": "bad_request"}
    go("fake/constant", n=1, seed=3, agent_options=faults, **constant(SLOTS.replace("None", "rain")))
    (row,) = exported(tmp_path / "run")
    image, audio, drawn, silent = row["trace"]
    assert (image["name"], image["arguments"]) == ("generate_image", '{"prompt":"a fox"}')
    assert (audio["name"], audio["arguments"]) == ("generate_audio", '{"prompt":"rain"}')
    medium = drawn["parts"][1]
    assert medium["lineage"]["prompt"] == "a fox"
    assert medium["lineage"]["name"] == "generate_image:fake/echo"
    assert (tmp_path / "run" / medium["path"]).is_file()
    assert silent["error"] == "bad_request: fake/echo: bad_request fault, as asked for"
    assert row["tool_usage"]["images_out"] == 1
    assert drawn["usage"]["images_out"] == 1
    assert "images_out" not in silent["usage"]


def test_a_required_medium_that_the_tool_fails_to_make_is_no_score_and_is_asked_again(
    go: Any, tmp_path: Path
) -> None:
    works = False

    def draw(_: Any) -> Any:
        if not works:
            return error(400, "out of paint")
        url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
        return completion([{"type": "image_url", "image_url": {"url": url}}])

    with in_thread(OpenAIServer(draw)) as server:
        tool = {"image": "openai/painter", "image.base_url": server.url, "image.outputs": "image"}
        options = {"agent_options": tool, "error_budget": 1.0, **constant("a fox")}
        before = go("fake/constant", "picture_task", **options).tasks[0]
        works = True
        after = go("fake/constant", "picture_task", **options).tasks[0]
    assert (before.counts.errors, before.counts.scored) == ({"tool": 6}, 0)
    assert "out of paint" in answers(tmp_path / "run")[0].response.fault.message
    assert (after.counts.errors, after.counts.scored, after.headline.value) == ({}, 6, 1.0)


def test_native_runs_over_sockets_and_resumes_without_asking_again(go: Any, tmp_path: Path) -> None:
    made = [
        {"id": "a", "type": "function", "function": {"name": "generate_image", "arguments": '{"prompt":"x"}'}}
    ]

    def script(received: Any) -> Any:
        asked = received.body["messages"][-1]
        return completion("seen") if asked["role"] == "tool" else completion(None, tool_calls=made)

    with in_thread(OpenAIServer(script)) as server:
        options = {
            "agent": "native",
            "model_options": {"base_url": server.url, "inputs": "text"},
            "agent_options": {"max_turns": 3},
        }
        task = go("openai/m", **options).tasks[0]
        asked = server.count
        go("openai/m", **options)
        assert server.count == asked == 12
    assert (task.headline.value, task.counts.tool_calls, task.model_usage.requests) == (2.0, 6, 12)
    assert len([r for r in read_rows(tmp_path / "run" / "journal.jsonl") if isinstance(r, ScoreRow)]) == 6


def test_wrong_calls_of_the_model_are_no_failures_of_the_tool(go: Any) -> None:
    made = [{"id": "a", "type": "function", "function": {"name": "smell", "arguments": "{}"}}]

    def script(received: Any) -> Any:
        asked = received.body["messages"][-1]
        return completion("sorry") if asked["role"] == "tool" else completion(None, tool_calls=made)

    with in_thread(OpenAIServer(script)) as server:
        model_options = {"base_url": server.url, "inputs": "text"}
        results = go("openai/m", agent="native", model_options=model_options)
    counts = results.tasks[0].counts
    assert (counts.tool_calls, counts.tool_errors, counts.wrong_calls) == (6, 0, 6)
    assert "tools: 6 calls, 0 failed, 6 wrong or too many (the model's failures);" in render(results, "table")


def test_a_models_own_media_need_no_agent(go: Any) -> None:
    task = go("fake/echo", "required_task").tasks[0]
    assert (task.headline.value, task.counts.tool_calls) == (3.0, 0)


def test_native_needs_tool_calling(go: Any) -> None:
    with pytest.raises(UsageError, match="fake/echo cannot call tools; --agent text-protocol"):
        go("fake/echo", agent="native")


@pytest.mark.parametrize(
    "wrong", [{"max_turns": 0}, {"timeout_s": -1}, {"max_turn": 3}, {"max_calls": "many"}]
)
def test_wrong_options_of_the_agent_are_named(go: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        go("openai/m", agent="native", agent_options=wrong, model_options={"base_url": "http://localhost:1"})


@pytest.mark.parametrize("agent", [None, "none"])
def test_tools_that_no_agent_would_call_are_refused(go: Any, agent: str | None) -> None:
    with pytest.raises(UsageError, match="-A image: no task of this run is answered by an agent with tools"):
        go("fake/echo", "required_task", agent=agent, agent_options={"image": "fake/echo"})


def test_a_misspelt_option_of_the_agent_is_seen_also_where_no_task_needs_one(go: Any) -> None:
    with pytest.raises(UsageError, match="-A imgae: no task of this run"):
        go("fake/echo", "amg_instruction_text", agent_options={"imgae": "fake/echo"})


def test_prompts_and_limits_of_the_agent_are_part_of_the_runs_identity(go: Any, tmp_path: Path) -> None:
    go("fake/constant", **constant(SLOTS))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    agent = manifest["tasks"][0]["identity"]["agent"]
    assert (agent["name"], agent["options"]["max_prompt_chars"], len(agent["prompts"])) == (
        "text-protocol",
        2000,
        64,
    )


def test_the_cache_keeps_turns_and_media_apart_by_repeat(go: Any, tmp_path: Path) -> None:
    options = {"cache": str(tmp_path / "cache"), "repeats": 2, "n": 2, **constant(SLOTS)}
    go("fake/constant", out="a", **options)
    again = go("fake/constant", out="b", **options).tasks[0]
    assert (again.model_usage.requests, again.tool_usage.requests) == (0, 0)
    first, second = answers(tmp_path / "a"), answers(tmp_path / "b")
    by_repeat = [{row.response.parts[1].artifact.sha256 for row in first if row.repeat == n} for n in (0, 1)]
    assert not by_repeat[0] & by_repeat[1]
    parts = [{(row.id, row.repeat): row.response.parts for row in rows} for rows in (first, second)]
    assert parts[0] == parts[1]
    assert all(row.response.cached for row in second)
    other_tool = {**options, "agent_options": {"image": "fake/echo", "image.seed": 9}}
    assert go("fake/constant", out="c", **other_tool).tasks[0].tool_usage.requests == 4
    assert not any(row.response.cached for row in answers(tmp_path / "c"))


def test_what_an_agent_does_wrong_costs_its_samples(go: Any, tmp_path: Path) -> None:
    agent = tmp_path / "careless.py"
    agent.write_text(
        "from eval_anything.agent import Agent\n\n\n"
        "class Careless(Agent):\n"
        '    """Wrong in two ways."""\n\n'
        '    name = "careless"\n\n'
        "    async def respond(self, request, model, tools):\n"
        "        if request.origin.sample_id == '0':\n"
        "            raise KeyError('plan')\n"
        "        return None if request.origin.sample_id == '1' else await model.ask(request)\n"
    )
    options = {"agent": "careless", "include": [PLUGIN, str(agent)], "error_budget": 1.0}
    task = go("fake/constant", **options, **constant("words")).tasks[0]
    assert (task.counts.errors, task.counts.scored) == ({"model": 2}, 4)
    faults = {row.id: row.response.fault for row in answers(tmp_path / "run")}
    assert faults["0"].message == "agent careless: KeyError: 'plan'"
    assert "Expected `object`, got `null`" in faults["1"].message
