"""Plain prompts over the completions route: without a chat template, and log-probabilities of given texts."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from eval_anything.errors import BadRequest, GarbageReply
from eval_anything.models.openai.encode import Dialect, params_fields
from eval_anything.models.openai.wire import PlainCompletion
from eval_anything.values import Likelihood, Request, Response, Text, Usage

ROUTE = "/completions"
_JSON = msgspec.json.Encoder()
_PROMPTS_KEPT = 1024


def encode_plain(request: Request, dialect: Dialect) -> bytes:
    """The body of one completion of a plain prompt. Raises BadRequest for parts that are not text."""
    dialect = msgspec.structs.replace(dialect, max_tokens_field="max_tokens")  # this route has no other name
    params = params_fields(request.params, request.draw, dialect)
    return _JSON.encode({"model": dialect.model, "prompt": _prompt(request), **params})


class PlainScorer:
    """Log-probabilities of texts after plain prompts, from a server that echoes prompts with them (vLLM's
    does).

    Which tokens are the text's is decided as lm-evaluation-harness decides it: those that prompt and text
    together have more than the prompt alone, without its last white space. So the server is also asked how
    many tokens the prompt has, once for all texts that are scored after it.
    """

    def __init__(self, model: str, ask: Callable[[bytes], Awaitable[PlainCompletion]]) -> None:
        """`ask` sends a body to the completions route and reads the reply."""
        self._model = model
        self._ask = ask
        self._counts: OrderedDict[str, asyncio.Task[tuple[int, Usage]]] = OrderedDict()

    async def score(self, request: Request, text: str) -> Response:
        """Raises BadRequest where the server does not tell what is needed, and what `ask` raises."""
        prompt = _prompt(request)
        if not request.plain or not prompt.strip():
            raise BadRequest("a server's model scores texts after plain prompts that are not empty")
        (before, counting), reply = await asyncio.gather(
            self._tokens_of(prompt.rstrip()), self._ask(self._body(prompt + text, echo=True, logprobs=1))
        )
        total = _prompt_tokens(reply)
        usage = msgspec.structs.replace(counting, input_tokens=counting.input_tokens + total)
        return Response(
            likelihood=_likelihood(reply, before, total),
            usage=usage,
            model=reply.model or "",
            system_fingerprint=reply.system_fingerprint or "",
        )

    def _body(self, prompt: str, **more: Any) -> bytes:
        # Servers want to generate at least one token; it is not looked at.
        return _JSON.encode(
            {"model": self._model, "prompt": prompt, "max_tokens": 1, "temperature": 0.0, **more}
        )

    async def _tokens_of(self, prompt: str) -> tuple[int, Usage]:
        """How many tokens `prompt` has; and what finding out cost, which is told once."""
        known = self._counts.get(prompt)
        if known is not None and not (known.done() and (known.cancelled() or known.exception())):
            self._counts.move_to_end(prompt)
            return (await asyncio.shield(known))[0], Usage()
        task = self._counts[prompt] = asyncio.ensure_future(self._count(prompt))
        if len(self._counts) > _PROMPTS_KEPT:
            self._counts.popitem(last=False)
        return await asyncio.shield(task)

    async def _count(self, prompt: str) -> tuple[int, Usage]:
        count = _prompt_tokens(await self._ask(self._body(prompt)))
        return count, Usage(input_tokens=count)


def _likelihood(reply: PlainCompletion, before: int, total: int) -> Likelihood:
    """Of the prompt's tokens from number `before` up to `total`."""
    told = reply.choices[0].logprobs if reply.choices else None
    if told is None or len(told.token_logprobs) < total or len(told.top_logprobs or ()) < total:
        raise BadRequest(
            "the server gave no log-probabilities of the prompt: echo with logprobs is needed (vLLM has it)"
        )
    own = told.token_logprobs[before:total]
    best = [max(place.values(), default=None) for place in (told.top_logprobs or ())[before:total] if place]
    if not own:
        raise BadRequest("the text has no tokens of its own after this prompt")
    logprobs = [value for value in own if value is not None]
    if len(logprobs) < len(own) or len(best) < len(own):
        raise GarbageReply("the server left out log-probabilities of some tokens")
    greedy = all(top is not None and value >= top for value, top in zip(logprobs, best, strict=True))
    return Likelihood(logprob=sum(logprobs), greedy=greedy, tokens=len(own))


def _prompt_tokens(reply: PlainCompletion) -> int:
    count = reply.usage.prompt_tokens if reply.usage is not None else None
    if count is None:
        raise BadRequest("the server does not tell how many tokens a prompt has (usage.prompt_tokens)")
    return count


def _prompt(request: Request) -> str:
    parts = [part for message in request.messages for part in message.parts]
    for part in parts:
        if not isinstance(part, Text):
            raise BadRequest(f"a plain prompt is text alone, and this one has {type(part).__name__} parts")
    return "".join(part.text for part in parts if isinstance(part, Text))
