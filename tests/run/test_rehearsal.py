"""A dry run: every request is made and none is sent, nothing is left behind, and costs are ranges."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import Call, OpenAIServer, completion, in_thread

from eval_anything.cli.main import main
from eval_anything.errors import RunConflict, UsageError
from eval_anything.models.tally import count_chars, count_usage, estimated_tokens
from eval_anything.run.config import make_config
from eval_anything.run.estimate import Range, table
from eval_anything.run.rehearsal import rehearse
from eval_anything.run.run import run
from eval_anything.values import Artifact, Audio, Image, Message, Request, Text, Video

NOWHERE = "http://localhost:1/v1"


def config(**options: Any) -> Any:
    values = {"model": "openai/m", "tasks": ["amu"], "data": "synthetic:n=24", "judge": "openai/j"}
    at = {"base_url": NOWHERE}
    return make_config({**values, "model_options": at, "judge_options": at, **options})


@pytest.fixture
def prices(tmp_path: Path) -> str:
    path = tmp_path / "prices.yaml"
    path.write_text("models: {openai/m: {input: 1, output: 10}, openai/j: {input: 2, output: 0}}")
    return str(path)


def test_it_counts_what_the_run_then_sends(tmp_path: Path, prices: str) -> None:
    """The same run, dry and real: requests, media and texts are those that arrive at the server."""
    with in_thread(OpenAIServer("x")) as server:
        at = {"base_url": server.url}
        asked = config(
            model_options=at, judge_options={**at, "attempts": 2}, out=str(tmp_path / "run"), prices=prices
        )
        estimate = rehearse(asked)
        assert server.count == 0
        assert not (tmp_path / "run").exists()
        results = run(asked, None).results
        model, judge = estimate.asked
        assert server.count == 24 + 48  # a judge without a verdict is asked twice
    used = results.tasks[0].model_usage
    assert (model.requests, judge.requests) == (Range(24, 24), Range(24, 48))
    assert model.images_in == used.images_in > 0
    assert model.audio_s_in == pytest.approx(used.audio_s_in, abs=0.1) != 0
    assert model.video_s_in == pytest.approx(used.video_s_in, abs=0.1) != 0
    assert (estimate.planned, estimate.finished) == (24, 0)


def test_costs_are_from_no_answer_to_max_tokens(prices: str) -> None:
    options = {"base_url": NOWHERE, "max_tokens": 100}
    estimate = rehearse(
        config(model_options=options, judge_options={**options, "attempts": 1}, prices=prices)
    )
    model, judge = estimate.asked
    read = model.input_tokens.low
    assert model.output_tokens == Range(0, 2400)
    assert model.usd == Range(pytest.approx(read * 1e-6), pytest.approx(read * 1e-6 + 2400 * 10e-6))
    # The judge is shown answers of up to 100 tokens.
    assert judge.input_tokens.high == pytest.approx(judge.input_tokens.low + 2400)
    assert estimate.usd is not None
    assert estimate.usd.high == pytest.approx(model.usd.high + judge.usd.high)


def test_what_has_no_bound_and_no_price_is_said(prices: str) -> None:
    free = rehearse(config(judge_options={"base_url": NOWHERE}, prices=prices))
    assert free.asked[1].output_tokens.high is None
    assert "no max_tokens" in free.asked[1].reason
    assert free.usd is not None
    assert free.usd.high is None
    unknown = rehearse(config())
    assert unknown.usd is None
    assert [one.usd for one in unknown.asked] == [None, None]
    assert "all together, US dollars: not known" in table(unknown)
    assert "openai/j (judge): no price is known" in table(unknown)
    local = rehearse(config(model="fake/echo", model_options={}, judge="fake/rater", judge_options={}))
    assert "all together, US dollars: nobody bills" in table(local)


def test_an_offline_judge_is_asked_nothing() -> None:
    estimate = rehearse(config(judge="reference", judge_options={}))
    assert [one.purpose for one in estimate.asked] == ["model"]


@pytest.mark.parametrize(("agent", "high"), [("text-protocol", 8), ("native", None)])
def test_an_agents_tools_are_counted_apart(agent: str, high: float | None) -> None:
    asked = config(tasks=["amg_selection"], data="synthetic:n=8", agent=agent, judge={}, judge_options={})
    model, *tools = rehearse(asked).asked
    assert model.requests.low == 8
    assert model.requests.high == high
    assert len(tools) >= 2
    assert {(tool.purpose, tool.model) for tool in tools} == {("tools", "synthetic/scene")}
    assert [tool.requests for tool in tools] == [Range(0, high)] * len(tools)  # the choice is the model's


def test_required_media_are_made_in_any_case() -> None:
    asked = config(
        tasks=["amg_synergy"], data="synthetic:n=4", agent="text-protocol", judge={}, judge_options={}
    )
    tools = rehearse(asked).asked[1:]
    assert sum(tool.requests.low for tool in tools) > 0


def test_all_tasks_can_be_rehearsed() -> None:
    options = {"base_url": NOWHERE, "max_tokens": 50}
    asked = config(tasks=["external", "amg"], data="synthetic:n=4", model_options=options)
    estimate = rehearse(asked)
    assert estimate.planned > 20
    assert {one.purpose for one in estimate.asked} == {"model", "judge", "tools"}


def test_masks_limits_and_repeats_count() -> None:
    whole, deaf = rehearse(config(repeats=2, limit=5)), rehearse(config(mask=["audio"]))
    assert whole.asked[0].requests == Range(10, 10)
    assert deaf.asked[0].audio_s_in == 0


def test_what_is_finished_is_not_asked_again(tmp_path: Path) -> None:
    def fails_at_last(call: Call) -> Any:
        return completion("Rating: [[5]]")

    with in_thread(OpenAIServer(fails_at_last)) as server:
        at = {"base_url": server.url}
        options = {"model_options": at, "judge_options": at, "out": str(tmp_path / "run")}
        run(config(limit=10, **options), None)
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
        estimate = rehearse(config(**options))
        assert estimate.finished == 10
        assert estimate.asked[0].requests == Range(14, 14)
        assert {path: path.read_bytes() for path in before} == before
        with pytest.raises(RunConflict, match="another configuration"):
            rehearse(config(**{**options, "seed": 3}))


def test_samples_with_broken_media_are_left_out(tmp_path: Path, text_task: str) -> None:
    task = tmp_path / "broken_task.py"
    task.write_text(
        Path(text_task)
        .read_text()
        .replace("text_task", "broken_task")
        .replace("always_one", "always_two")
        .replace('inputs = ("text",)', 'inputs = ("text", "image")')
        .replace("Message, Params", "File, Message, Params")
        .replace("metadata={}", "")
        .replace('(Text(f"Question', '(File(str(dataset.root / "n.txt"), "image"), Text(f"Question')
    )
    estimate = rehearse(
        config(tasks=["broken_task"], data="synthetic:n=3", include=[str(task)], judge={}, judge_options={})
    )
    assert estimate.asked[0].requests == Range(0, 0)
    assert estimate.notes[0] == "not counted: 3 samples whose media cannot be used"


def test_what_a_run_refuses_a_dry_run_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--max-cost: no price is known"):
        rehearse(config(max_cost=1.0))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, prices: str) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", "--model", "openai/m", "--base-url", NOWHERE, "--tasks", "amu", "--prices", prices]
    assert main([*command, "--data", "synthetic:n=5", "-M", "max_tokens=9", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "nothing was sent; 5 responses are planned, 0 done" in said
    assert "4 characters a token, 765 tokens an image" in said
    assert main([*command, "--data", "synthetic:n=5", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["asked"][0]["requests"] == {"low": 5, "high": 5}
    assert [path.name for path in tmp_path.iterdir()] == ["prices.yaml"]


def test_tokens_are_estimated_by_characters_and_media() -> None:
    def artifact(**known: Any) -> Artifact:
        return Artifact(sha256="0" * 64, mime="x/y", bytes_size=1, **known)

    parts = (
        Text("x" * 41),
        Image(artifact()),
        Audio(artifact(duration_s=2.0)),
        Video(artifact(duration_s=1.5)),
    )
    asked = Request(messages=(Message("user", parts),))
    assert count_chars(asked) == 41
    assert estimated_tokens(count_usage(asked, ()), 41) == math.ceil(41 / 4 + 765 + 64 + 394.5)
