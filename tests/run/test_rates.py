"""Rate limits by a clock of their own: exact, and without waiting."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, in_thread

from eval_anything.errors import UsageError
from eval_anything.models.base import Account, Model, NoOptions
from eval_anything.run.config import make_config
from eval_anything.run.endpoint import Endpoint, EndpointOptions
from eval_anything.run.rates import Rates, share_rates
from eval_anything.run.run import run
from eval_anything.values import Capabilities, Message, Params, Request, Response, Text, Usage

ASKED = Request(messages=(Message("user", (Text("x" * 40),)),), params=Params(max_tokens=90))


class Clock:
    """Time passes while somebody sleeps, and only then."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def sent(rates: Rates, clock: Clock, n: int, usage: Usage | None = None) -> list[float]:
    """Seconds after the first request at which each of `n` left; each is answered at once with `usage`."""

    async def go() -> list[float]:
        times = []
        for _ in range(n):
            tokens = await rates.admit(ASKED)
            times.append(clock.now)
            if usage is not None:
                rates.answered(usage, tokens)
        return times

    times = asyncio.run(go())
    return [round(time - times[0], 6) for time in times]


def test_requests_are_spread_over_the_minute() -> None:
    clock = Clock()
    times = sent(Rates(30, None, clock, clock.sleep), clock, 91)
    assert times == [2.0 * n for n in range(91)]
    for start in (0.0, 60.0, 119.0):
        assert sum(start <= time < start + 60 for time in times) <= 30


def test_an_idle_minute_is_not_saved_up() -> None:
    clock = Clock()
    rates = Rates(60, None, clock, clock.sleep)
    sent(rates, clock, 1)
    clock.now += 600
    assert sent(rates, clock, 3)[2] == pytest.approx(2.0, abs=0.06)


def test_tokens_are_counted_as_they_were_reported() -> None:
    clock = Clock()
    # 10 tokens of prompt and 90 of answer are set aside; 20 are used, so 20 a request are what it costs.
    times = sent(Rates(None, 600, clock, clock.sleep), clock, 61, Usage(input_tokens=10, output_tokens=10))
    assert times[-1] == pytest.approx(120.0)  # 60 requests of 20 tokens, at 600 a minute
    assert times[1] == pytest.approx(2.0)


def test_before_anything_is_known_an_answer_counts_with_all_its_max_tokens() -> None:
    clock = Clock()
    assert sent(Rates(None, 600, clock, clock.sleep), clock, 2) == [0.0, 10.0]


def test_the_narrower_of_both_limits_holds() -> None:
    clock = Clock()
    usage = Usage(input_tokens=50, output_tokens=50)
    assert sent(Rates(60, 600, clock, clock.sleep), clock, 3, usage) == [0.0, 10.0, 20.0]
    assert sent(Rates(3, 60_000, clock, clock.sleep), clock, 3, usage) == [0.0, 20.0, 40.0]


def test_requests_leave_in_the_order_in_which_they_came() -> None:
    clock = Clock()
    rates, left = Rates(60, None, clock, clock.sleep), []

    async def one(n: int) -> None:
        await rates.admit(ASKED)
        left.append((n, clock.now - 100.0))

    async def go() -> None:
        await asyncio.gather(*(one(n) for n in range(5)))

    asyncio.run(go())
    assert left == [(n, float(n)) for n in range(5)]


class Served(Model):
    """A model with a key."""

    provider = "served"

    def __init__(self, name: str, account: Account | None) -> None:
        super().__init__(name, NoOptions())
        self._account = account

    def account(self) -> Account | None:
        return self._account

    def capabilities(self) -> Capabilities:
        return Capabilities()

    async def generate(self, request: Request) -> Response:
        return Response(parts=(Text("yes"),), usage=Usage(input_tokens=1, output_tokens=1))


def endpoint(name: str, account: Account | None, **options: Any) -> Endpoint:
    return Endpoint(f"served/{name}", Served(name, account), Params(), EndpointOptions(**options))


HERE = Account(server="here", key="secret-1")


def test_one_key_at_one_server_is_one_budget() -> None:
    model, judge = endpoint("a", HERE, rpm=60), endpoint("b", Account(server="here", key="secret-1"))
    other_key = endpoint("c", Account(server="here", key="secret-2"))
    elsewhere = endpoint("d", Account(server="there", key="secret-1"))
    local = endpoint("e", None, tpm=100)
    share_rates([model, judge, other_key, elsewhere, local])
    assert model.rates is not None
    assert judge.rates is model.rates
    assert other_key.rates is elsewhere.rates is None
    assert local.rates is not None
    assert local.rates is not model.rates


def test_limits_that_contradict_each_other_are_refused_without_the_key() -> None:
    with pytest.raises(UsageError, match="rpm=60 for served/a and rpm=30 for served/b") as raised:
        share_rates([endpoint("a", HERE, rpm=60), endpoint("b", HERE, rpm=30)])
    assert "secret" not in str(raised.value)
    share_rates([endpoint("a", HERE, rpm=60), endpoint("b", HERE, rpm=60, tpm=1000)])


def test_an_endpoint_waits_for_its_rates_before_each_attempt(tmp_path: Any) -> None:
    clock = Clock()
    asked = endpoint("a", HERE)
    asked.rates = Rates(60, None, clock, clock.sleep)

    async def go() -> list[Response]:
        return list(await asyncio.gather(*(asked.ask(ASKED) for _ in range(4))))

    assert {response.state for response in asyncio.run(go())} == {"ok"}
    assert clock.now == pytest.approx(103.0)


def test_a_run_keeps_to_the_limit_with_model_and_judge_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-some-key-0123456789")
    with in_thread(OpenAIServer("Rating: [[5]]")) as server:
        at = {"base_url": server.url, "api_key_env": "SOME_KEY"}
        asked = make_config(
            {
                "model": "openai/m",
                "tasks": ["amu"],
                "data": "synthetic:n=12",
                "model_options": {**at, "rpm": 2400},
                "judge": "openai/j",
                "judge_options": at,
                "out": str(tmp_path / "run"),
            }
        )
        began = time.monotonic()
        results = run(asked, None).results
        assert server.count == 24
        assert time.monotonic() - began > 23 * 60 / 2400 - 0.1
    assert results.tasks[0].counts.scored == 12
