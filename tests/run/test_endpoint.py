"""An endpoint: retries by class of error, one state for each question, and what it does with bugs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from eval_anything.errors import (
    BadRequest,
    Forbidden,
    GarbageReply,
    MediaError,
    RateLimited,
    ServerFault,
    TransportFault,
)
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import Model, NoOptions
from eval_anything.run.endpoint import Endpoint, EndpointOptions
from eval_anything.stores.cache import ResponseCache
from eval_anything.values import Capabilities, Message, Params, Price, Request, Response, Text, Usage

ASKED = Request(messages=(Message("user", (Text("q"),)),), params=Params(temperature=0.0, max_tokens=5))


class Gives:
    """A step of a script that is given as it is, whatever it is."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


class Scripted(Model):
    """Gives or raises what the script says, one after the other; the last for ever."""

    provider = "scripted"

    def __init__(self, *script: Any) -> None:
        super().__init__("model", NoOptions())
        self.script = list(script)
        self.requests: list[Request] = []

    def capabilities(self) -> Capabilities:
        return Capabilities()

    async def generate(self, request: Request) -> Response:
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if step == "hang":
            await asyncio.sleep(60)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Gives):
            return step.answer  # type: ignore[no-any-return]
        assert isinstance(step, Response)
        return step


OK = Response(parts=(Text("yes"),))


def ask(
    tmp_path: Path, *script: Any, params: Params | None = None, **options: Any
) -> tuple[Response, Scripted]:
    model = Scripted(*script)
    given = EndpointOptions(**{"backoff_s": 0.001, "retries": 3, **options})
    endpoint = Endpoint("scripted/model", model, params or Params(), given)

    async def go() -> Response:
        await endpoint.start(ArtifactStore(tmp_path / "media"))
        return await endpoint.ask(ASKED)

    return asyncio.run(go()), model


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "yes",
        Response(parts="yes"),
        Response(parts=(Text(5),)),
        Response(state="fine"),
        Response(finish_reason=object()),
    ],
)
def test_an_answer_that_is_no_response_costs_one_sample(tmp_path: Path, answer: Any) -> None:
    response, model = ask(tmp_path, Gives(answer))
    assert (response.state, response.parts) == ("error", ())
    assert response.fault is not None
    assert response.fault.kind == "model"
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "fault", [TransportFault("reset"), ServerFault("500"), GarbageReply("html"), RateLimited("429")]
)
def test_what_may_pass_is_tried_again(tmp_path: Path, fault: Exception) -> None:
    response, model = ask(tmp_path, fault, fault, OK)
    assert response.state == "ok"
    assert len(model.requests) == 3
    assert response.usage.requests == 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(ServerFault("down"), "server"), (TransportFault("reset"), "transport"), (GarbageReply("x"), "garbage")],
)
def test_what_does_not_pass_ends_in_a_stated_error(tmp_path: Path, fault: Exception, kind: str) -> None:
    response, model = ask(tmp_path, fault)
    assert response.state == "error"
    assert response.fault is not None
    assert (response.fault.kind, response.fault.message) == (kind, str(fault))
    assert len(model.requests) == 4


@pytest.mark.parametrize(
    ("fault", "kind"), [(BadRequest("no"), "bad_request"), (MediaError("x.png"), "media")]
)
def test_what_cannot_pass_is_asked_once(tmp_path: Path, fault: Exception, kind: str) -> None:
    response, model = ask(tmp_path, fault, OK)
    assert response.fault is not None
    assert response.fault.kind == kind
    assert len(model.requests) == 1


def test_a_missing_key_is_the_callers_affair(tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        ask(tmp_path, Forbidden("expired"))


def test_a_bug_of_a_provider_costs_one_sample_and_says_where(tmp_path: Path) -> None:
    response, model = ask(tmp_path, IndexError("list index out of range"), OK)
    assert response.state == "error"
    assert response.fault is not None
    assert "IndexError: list index out of range (generate, line" in response.fault.message
    assert len(model.requests) == 1


def test_an_answer_that_never_comes_is_given_up(tmp_path: Path) -> None:
    response, _ = ask(tmp_path, "hang", timeout_s=0.05, retries=1)
    assert response.fault is not None
    assert response.fault.message == "no answer within 0.05 s"


def test_the_users_parameters_win_over_the_tasks(tmp_path: Path) -> None:
    _, model = ask(tmp_path, OK, params=Params(temperature=0.7, extra={"min_p": 0.1}))
    sent = model.requests[0].params
    assert (sent.temperature, sent.max_tokens, sent.extra) == (0.7, 5, {"min_p": 0.1})


def test_text_that_no_file_can_hold_is_made_writable(tmp_path: Path) -> None:
    response, _ = ask(tmp_path, Response(parts=(Text("a\ud800b"),)))
    assert response.text == "a?b"


def test_only_accepted_answers_are_cached(tmp_path: Path) -> None:
    model = Scripted(OK)
    endpoint = Endpoint("scripted/model", model, Params(), EndpointOptions())

    async def go() -> None:
        cache = ResponseCache(tmp_path / "cache")
        await endpoint.start(ArtifactStore(tmp_path / "media"), cache)
        for _ in range(2):
            assert not (await endpoint.ask(ASKED, accept=lambda r: False)).cached
        assert not (await endpoint.ask(ASKED)).cached
        assert (await endpoint.ask(ASKED)).cached
        cache.close()

    asyncio.run(go())
    assert len(model.requests) == 3


def test_an_answer_is_counted_with_its_price_and_the_name_that_served_it(tmp_path: Path) -> None:
    answer = Response(
        parts=(Text("yes"),),
        model="m-1",
        system_fingerprint="fp_1",
        usage=Usage(input_tokens=1000, output_tokens=100),
    )
    model = Scripted(ServerFault("down"), answer)
    endpoint = Endpoint("scripted/model", model, Params(), EndpointOptions(backoff_s=0.001))
    endpoint.price = Price(input=1.0, output=10.0)

    async def go() -> tuple[Response, Response]:
        cache = ResponseCache(tmp_path / "cache")
        await endpoint.start(ArtifactStore(tmp_path / "media"), cache)
        found = await endpoint.ask(ASKED), await endpoint.ask(ASKED)
        cache.close()
        return found

    first, again = asyncio.run(go())
    assert first.usage.cost_usd == pytest.approx(0.002)
    assert (first.usage.requests, first.usage.unpriced) == (2, 0)
    assert first.usage.served == {"scripted/model": {"m-1 (fp_1)": 1}}
    # From the cache: at no cost, but still by that model.
    assert again.usage == Usage(from_cache=1, served=first.usage.served)


def test_an_answer_without_a_known_price_says_so_unless_nobody_bills(tmp_path: Path) -> None:
    billed, _ = ask(tmp_path, OK)
    assert (billed.usage.cost_usd, billed.usage.unpriced) == (None, 1)

    class Local(Scripted):
        local = True

    endpoint = Endpoint("scripted/model", Local(OK), Params(), EndpointOptions())

    async def go() -> Response:
        await endpoint.start(ArtifactStore(tmp_path / "media"))
        return await endpoint.ask(ASKED)

    local = asyncio.run(go())
    assert (local.usage.cost_usd, local.usage.unpriced) == (None, 0)
