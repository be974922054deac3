from __future__ import annotations

import asyncio
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, completion, echoing, error, plain_completion

from eval_anything.errors import BadRequest, GarbageReply
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.openai.provider import OpenAIModel, OpenAIOptions
from eval_anything.values import Likelihood, Message, Params, Reasoning, Request, Response, Text


def asking(text: str, continuation: str | None = None, **fields: Any) -> Request:
    fields = {"plain": True, **fields}
    return Request(messages=(Message("user", (Text(text),)),), continuation=continuation, **fields)


def ask(tmp_path: Any, script: Any, *requests: Request) -> tuple[list[Response], list[Any]]:
    """The responses, asked one after the other, and the calls that the server saw."""

    async def go() -> tuple[list[Response], list[Any]]:
        async with OpenAIServer(script) as server:
            model = OpenAIModel("m", OpenAIOptions(base_url=server.url))
            await model.start(ModelContext(store=ArtifactStore(tmp_path), timeout_s=10))
            try:
                return [await model.generate(request) for request in requests], server.calls
            finally:
                await model.stop()

    return asyncio.run(go())


def test_a_plain_prompt_is_sent_as_it_is(tmp_path: Any) -> None:
    params = Params(temperature=0.0, max_tokens=9, stop=("\n",), seed=4)
    request = asking("Q: 1 + 1\nA:", params=params, draw=1)
    (response,), (call,) = ask(tmp_path, lambda _: plain_completion(" 2"), request)
    assert call.path == "/v1/completions"
    assert call.body == {
        "model": "m",
        "prompt": "Q: 1 + 1\nA:",
        "temperature": 0.0,
        "max_tokens": 9,
        "stop": ["\n"],
        "seed": 5,
    }
    assert response.parts == (Text(" 2"),)
    assert (response.state, response.model, response.usage.input_tokens) == ("ok", "served-model", 7)


def test_a_cut_answer_and_thinking_are_told_as_in_a_chat(tmp_path: Any) -> None:
    reply = plain_completion("<think>hm</think> two", finish_reason="length")
    (response,), _ = ask(tmp_path, lambda _: reply, asking("?"))
    assert response.parts == (Reasoning("hm"), Text("two"))
    assert response.state == "truncated"


def test_a_text_is_scored_over_exactly_its_tokens(tmp_path: Any) -> None:
    requests = [asking("The sky is", " blue"), asking("The sky is", " so big"), asking("The sky is", " it")]
    found, calls = ask(tmp_path, echoing, *requests)
    assert [response.likelihood for response in found] == [
        Likelihood(logprob=-5.0, greedy=False, tokens=1),
        Likelihood(logprob=-7.0, greedy=True, tokens=2),
        Likelihood(logprob=-3.0, greedy=True, tokens=1),
    ]
    # How many tokens the prompt has is asked once.
    assert [call.body.get("echo", False) for call in calls].count(False) == 1
    assert sorted(call.body["prompt"] for call in calls)[0] == "The sky is"
    assert [response.usage.input_tokens for response in found] == [4 + 5, 6, 5]


def test_white_space_at_the_end_of_the_prompt_goes_with_the_text(tmp_path: Any) -> None:
    found, _ = ask(tmp_path, echoing, asking("The sky is ", "blue"), asking("The sky is", " blue"))
    assert found[0].likelihood == found[1].likelihood


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (lambda _: plain_completion(), "echo with logprobs is needed"),
        (lambda _: plain_completion(logprobs={"token_logprobs": [-1.0]}), "echo with logprobs is needed"),
        (lambda _: {"choices": [{"text": "x"}]}, "usage.prompt_tokens"),
        (error(404, "no such route"), "HTTP 404: no such route"),
    ],
)
def test_a_server_that_cannot_score_texts_says_so(tmp_path: Any, script: Any, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        ask(tmp_path, script, asking("The sky is", " blue"))


def test_what_no_server_can_score_is_not_sent(tmp_path: Any) -> None:
    for request in (asking("", " blue"), asking("The sky is", " blue", plain=False)):
        with pytest.raises(BadRequest, match="plain prompts that are not empty"):
            ask(tmp_path, error(500, "asked"), request)


def test_a_text_without_tokens_and_left_out_logprobs(tmp_path: Any) -> None:
    with pytest.raises(BadRequest, match="no tokens of its own"):
        ask(tmp_path, echoing, asking("The sky is", ""))

    def holes(call: Any) -> Any:
        reply = echoing(call)
        if call.body.get("echo"):
            reply["choices"][0]["logprobs"]["token_logprobs"][-2] = None
        return reply

    with pytest.raises(GarbageReply, match="left out log-probabilities"):
        ask(tmp_path, holes, asking("The sky is", " blue"))


def test_a_chat_completion_in_its_place_is_garbage(tmp_path: Any) -> None:
    with pytest.raises(GarbageReply, match="not a completion"):
        ask(tmp_path, lambda _: completion("hi"), asking("?"))


def test_only_servers_of_others_have_the_route(monkeypatch: pytest.MonkeyPatch) -> None:
    other = OpenAIModel("m", OpenAIOptions(base_url="http://localhost:1/v1")).capabilities()
    own = OpenAIModel("gpt-4o", OpenAIOptions()).capabilities()
    assert (other.chat, other.plain, other.likelihood) == (True, True, "plain")
    assert (own.chat, own.plain, own.likelihood) == (True, False, "")
