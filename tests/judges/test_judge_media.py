from __future__ import annotations

import pytest

from eval_anything.errors import UsageError
from eval_anything.judges.media import check_inputs, media_of
from eval_anything.models.openai.provider import OpenAIModel
from eval_anything.options import parse
from eval_anything.run.endpoint import Endpoint, EndpointOptions
from eval_anything.values import Artifact, Audio, Image, Params, Reasoning, Response, Text, Video


def endpoint(inputs: str) -> Endpoint:
    values = {"inputs": inputs, "base_url": "http://127.0.0.1:1/v1"}
    return Endpoint(
        "openai/judge",
        OpenAIModel("judge", parse(OpenAIModel.Options, values, "-J")),
        Params(),
        EndpointOptions(),
    )


def test_media_in_the_order_of_the_answer() -> None:
    image, sound, clip = (
        kind(Artifact(sha256="0" * 64, mime=mime, bytes_size=3))
        for kind, mime in ((Image, "image/png"), (Audio, "audio/wav"), (Video, "video/mp4"))
    )
    response = Response(parts=(Reasoning("hm"), sound, Text("and"), image, clip))
    assert media_of(response) == (sound, image, clip)
    assert media_of(Response()) == ()


def test_what_a_judge_cannot_be_shown_is_named() -> None:
    check_inputs(endpoint("text,image"), ("text", "image"))
    with pytest.raises(UsageError) as fault:
        check_inputs(endpoint("text,image"), ("audio", "video"))
    assert str(fault.value) == (
        "judge openai/judge does not take audio, video (it takes: text, image):"
        " name one that does with --judge"
    )
