"""What runs cost, and where --max-cost and --max-total-tokens end them: whole runs against a real server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import Call, OpenAIServer, completion, in_thread

from eval_anything.cli.main import main
from eval_anything.errors import LimitReached, UsageError
from eval_anything.run.config import make_config
from eval_anything.run.run import Outcome, run
from eval_anything.run.spending import Spending
from eval_anything.values import Spent, Usage

PRICES = "models: {openai/m: {input: 100, output: 1000}, openai/j: {input: 1000}}"
ANSWER, VERDICT = 7 * 100e-6 + 3 * 1000e-6, 7 * 1000e-6
"""Dollars: the server reports 7 tokens in, 3 out."""


@pytest.fixture
def go(text_task: str, tmp_path: Path) -> Any:
    """A run of text_task, answered by openai/m and judged by openai/j on one server, with prices."""
    (tmp_path / "prices.yaml").write_text(PRICES)

    def go(url: str, n: int = 20, out: str = "run", **options: Any) -> Outcome:
        values: dict[str, Any] = {
            "model": "openai/m",
            "tasks": ["text_task"],
            "data": f"synthetic:n={n}",
            "include": [text_task],
            "model_options": {"base_url": url},
            "judge": "openai/j",
            "judge_options": {"base_url": url},
            "task_options": {},
            "prices": str(tmp_path / "prices.yaml"),
            "out": tmp_path / out,
        }
        config = make_config({k: v for k, v in {**values, **options}.items() if v is not None})
        return run(config, progress=None)

    return go


@pytest.fixture
def judged(text_task: str, tmp_path: Path) -> str:
    """text_task judged by a model: its own judge costs nothing."""
    path = tmp_path / "judged_task.py"
    path.write_text(
        Path(text_task)
        .read_text()
        .replace('"text_task"', '"judged_task"')
        .replace('offline_judge = "always_one"', 'offline_judge = ""')
        .replace('name = "always_one"', 'name = "always_one_again"')
    )
    return str(path)


def by(outcome: Outcome) -> dict[str, Any]:
    return {cost.of: cost for cost in outcome.results.costs}


def test_the_model_and_the_judge_are_counted_apart_and_together(go: Any, judged: str) -> None:
    with in_thread(OpenAIServer("Rating: [[5]]")) as server:
        found = by(go(server.url, n=10, tasks=["judged_task"], include=[judged]))
    assert list(found) == ["model", "judge", "all"]
    assert found["model"].usd == pytest.approx(10 * ANSWER)
    assert found["judge"].usd == pytest.approx(10 * VERDICT)
    assert found["all"].usd == pytest.approx(10 * (ANSWER + VERDICT))
    assert found["all"].reason == ""


def test_an_unknown_price_is_no_zero(go: Any, judged: str) -> None:
    with in_thread(OpenAIServer("Rating: [[5]]")) as server:
        outcome = go(server.url, n=4, tasks=["judged_task"], include=[judged], judge="openai/other")
    found = by(outcome)
    assert (found["judge"].usd, found["judge"].reason) == (None, "no price is known for openai/other")
    assert found["all"].usd is None
    assert found["all"].at_least_usd == pytest.approx(4 * ANSWER)
    assert "cost: at least $0.01 (model $0.01, judge cost not known)" in str(outcome.results)


def test_a_usage_that_is_not_reported_is_no_zero(go: Any) -> None:
    def mute(_: Call) -> dict[str, Any]:
        return completion("yes") | {"usage": None}

    with in_thread(OpenAIServer(mute)) as server:
        found = by(go(server.url, n=4, judge=None, judge_options=None))
    assert found["all"].usd is None
    assert "of 4 answers the server did not report" in found["model"].reason


def test_a_server_that_bills_knows_best(go: Any) -> None:
    def bills(_: Call) -> dict[str, Any]:
        return completion("yes") | {"usage": {"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.25}}

    with in_thread(OpenAIServer(bills)) as server:
        found = by(go(server.url, n=4, judge=None, judge_options=None))
    assert found["all"].usd == pytest.approx(1.0)


def test_local_models_send_no_bill(go: Any) -> None:
    outcome = go("", n=4, model="fake/echo", model_options={}, judge=None, judge_options=None)
    assert [(cost.of, cost.usd, cost.reason) for cost in outcome.results.costs] == [
        ("model", None, "fake/echo: local, nobody bills"),
        ("all", None, "nobody bills"),
    ]
    assert "cost" not in str(outcome.results)


def test_answers_from_the_cache_cost_nothing_and_are_said_to(go: Any, tmp_path: Path) -> None:
    options = {"cache": str(tmp_path / "cache"), "judge": None, "judge_options": None}
    with in_thread(OpenAIServer("yes")) as server:
        go(server.url, n=6, **options)
        again = go(server.url, n=8, out="again", **options)
        whole = go(server.url, n=8, out="whole", **options)
        assert server.count == 8
    found = by(again)["all"]
    assert (found.usd, found.from_cache) == (pytest.approx(2 * ANSWER), 6)
    assert "6 answers from the cache at no cost" in str(again.results)
    assert (by(whole)["all"].usd, by(whole)["all"].from_cache) == (0.0, 8)


def test_max_cost_ends_a_run_before_it_costs_more(go: Any, judged: str) -> None:
    options = {"n": 50, "tasks": ["judged_task"], "include": [judged]}
    most = 10.5 * (ANSWER + VERDICT)
    with in_thread(OpenAIServer("Rating: [[5]]", latency="lognormal:0.005")) as server:
        outcome = go(server.url, max_cost=most, **options)
        assert server.count == 20
        assert outcome.exit_code == 3
        assert outcome.stopped.startswith("--max-cost")
        assert "a larger limit goes on" in outcome.stopped
        task = outcome.results.tasks[0]
        assert task.counts.scored == task.counts.responses == 10  # no answer is left without its verdict
        assert by(outcome)["all"].usd == pytest.approx(10 * (ANSWER + VERDICT))
        # The limit is the run's: what was spent before counts, and a larger one goes on.
        assert go(server.url, max_cost=most, **options).results.tasks[0].counts.scored == 10
        assert server.count == 20
        whole = go(server.url, max_cost=60 * (ANSWER + VERDICT), **options)
        assert (whole.exit_code, whole.results.tasks[0].counts.scored) == (0, 50)
        assert server.count == 100


def test_max_total_tokens_ends_a_run_likewise(go: Any) -> None:
    with in_thread(OpenAIServer("yes", latency="lognormal:0.005")) as server:
        outcome = go(server.url, n=50, max_total_tokens=125, judge=None, judge_options=None, prices=None)
        assert server.count == 12  # of 10 tokens each
    assert outcome.exit_code == 3
    assert "--max-total-tokens 125: 120 tokens used" in outcome.stopped


def test_max_cost_without_a_price_is_refused_before_anything_is_sent(go: Any, tmp_path: Path) -> None:
    with in_thread(OpenAIServer("yes")) as server:
        with pytest.raises(UsageError, match=r"no price is known for openai/m at 127\.0\.0\.1:\d+"):
            go(server.url, max_cost=1, prices=None, judge=None, judge_options=None)
        assert server.count == 0
    assert not (tmp_path / "run").exists()
    local = go("", n=2, model="fake/echo", model_options={}, max_cost=1, judge=None, judge_options=None)
    assert local.exit_code == 0


def test_a_limit_that_cannot_be_kept_ends_the_run(go: Any) -> None:
    def mute(_: Call) -> dict[str, Any]:
        return completion("yes") | {"usage": None}

    with in_thread(OpenAIServer(mute)) as server:
        for limit, said in (("max_cost", "was not reported"), ("max_total_tokens", "reports no tokens")):
            outcome = go(server.url, n=50, out=limit, judge=None, judge_options=None, **{limit: 1000})
            assert outcome.exit_code == 3
            assert said in outcome.stopped
            assert outcome.results.tasks[0].counts.scored == 1  # the first is waited for


def test_the_command_says_how_to_go_on(text_task: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    with in_thread(OpenAIServer("yes")) as server:
        code = main(
            [
                *("run", "--model", "openai/m", "--base-url", server.url, "--tasks", "text_task"),
                *("--include", text_task, "--data", "synthetic:n=20", "--out", str(tmp_path / "run")),
                *("--prices", str(tmp_path / "prices.yaml"), "--max-cost", "0.02"),
            ]
        )
    said = capsys.readouterr()
    assert code == 3
    assert "$0.02" in said.err
    assert f"run the same with --out {tmp_path / 'run'}" in said.err
    assert "cost: $0.02 (model $0.02)" in said.out


def test_a_model_that_changes_under_way_is_told_in_the_results(go: Any) -> None:
    def changes(call: Call) -> dict[str, Any]:
        return completion("yes") | {"system_fingerprint": "fp_1" if call.number < 12 else "fp_2"}

    with in_thread(OpenAIServer(changes)) as server:
        outcome = go(server.url, n=20, judge=None, judge_options=None)
    said = "openai/m (model) changed under way: served-model (fp_1) (12), served-model (fp_2) (8)"
    assert outcome.results.changes == [said]
    assert f"! {said}" in str(outcome.results)
    written = json.loads((outcome.folder / "results.json").read_text())
    assert written["tasks"][0]["model_usage"]["served"] == {
        "openai/m": {"served-model (fp_1)": 12, "served-model (fp_2)": 8}
    }


def test_prices_are_in_the_manifest_and_keys_are_not(go: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-very-secret-0123456789")
    with in_thread(OpenAIServer("yes")) as server:
        options = {"base_url": server.url, "api_key_env": "SOME_KEY", "rpm": 60_000}
        outcome = go(server.url, n=3, model_options=options, judge=None, judge_options=None)
        assert server.calls[0].authorization == "Bearer sk-very-secret-0123456789"
    text = (outcome.folder / "manifest.json").read_text()
    assert json.loads(text)["billing"][0]["price"]["input"] == 100
    for path in outcome.folder.rglob("*"):
        assert not path.is_file() or b"very-secret" not in path.read_bytes()


def test_the_first_sample_of_a_task_is_waited_for_and_then_many_go_at_once() -> None:
    async def scenario() -> list[int]:
        spending, in_flight, seen = Spending(Spent(), max_cost=10.0), 0, []

        async def one() -> None:
            nonlocal in_flight
            async with spending.sample("t"):
                in_flight += 1
                seen.append(in_flight)
                await asyncio.sleep(0.001)
                spending.took("t", "model", Usage(requests=1, cost_usd=0.9))
                in_flight -= 1

        found = await asyncio.gather(*(one() for _ in range(30)), return_exceptions=True)
        refused = [one for one in found if isinstance(one, LimitReached)]
        assert len(refused) == 30 - 11
        assert spending.spent.cost_usd == pytest.approx(9.9)
        return seen

    seen = asyncio.run(scenario())
    assert seen[:2] == [1, 1]
    assert max(seen) > 5


def test_a_sample_that_fails_does_not_hold_up_the_others() -> None:
    async def scenario() -> None:
        spending = Spending(Spent(), max_total_tokens=100)
        with pytest.raises(RuntimeError):
            async with spending.sample("t"):
                raise RuntimeError
        async with spending.sample("t"):
            spending.took("t", "model", Usage(requests=1, input_tokens=60))
        with pytest.raises(LimitReached):
            async with spending.sample("t"):
                pass

    asyncio.run(scenario())
