"""A judging model whose replies are scripted, and cases for it."""

import asyncio
from collections.abc import Callable, Sequence

from eval_anything.errors import ServerFault
from eval_anything.judge import Case, Judge, Rubric
from eval_anything.models.base import Model
from eval_anything.run.endpoint import Endpoint, EndpointOptions
from eval_anything.values import (
    Capabilities,
    Message,
    Modality,
    Params,
    Part,
    Request,
    Response,
    Sample,
    Score,
    Text,
)

Script = Sequence[str] | Callable[[Request], str]


class ScriptedJudge(Model):
    """Replies in turn, or as a function of the request; DOWN is a server that fails."""

    provider = "scripted"
    DOWN = "(down)"

    def __init__(
        self, script: Script, inputs: tuple[Modality, ...] = ("text", "image", "audio", "video")
    ) -> None:
        super().__init__("judge", None)
        self.script = script
        self.inputs = inputs
        self.requests: list[Request] = []

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=self.inputs)

    async def generate(self, request: Request) -> Response:
        self.requests.append(request)
        reply = self.script(request) if callable(self.script) else self.script[len(self.requests) - 1]
        if reply == self.DOWN:
            raise ServerFault("down")
        return Response(parts=(Text(reply),))


def endpoint(model: Model) -> Endpoint:
    return Endpoint("scripted/judge", model, Params(), EndpointOptions(retries=0))


def case(rubric: Rubric, *parts: Part, question: Sequence[Part] = (Text("What is it?"),)) -> Case:
    sample = Sample(id="1", messages=(Message("user", tuple(question)),))
    return Case(sample=sample, response=Response(parts=parts), rubric=rubric, task="lab")


def score(judge: Judge, one: Case) -> Score:
    return asyncio.run(judge.score(one))


def shown(request: Request) -> str:
    """The text of the user's turn."""
    return "\n".join(p.text for p in request.messages[-1].parts if isinstance(p, Text))
