"""The audiocraft generator, with a stand-in for its worker that speaks the same protocol."""

import asyncio
import sys
from pathlib import Path

import pytest

from eval_anything.agents.media.audiocraft import AudiocraftModel, AudiocraftOptions
from eval_anything.errors import BadRequest, GarbageReply, ModelError, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.options import parse
from eval_anything.values import Message, Origin, Params, Request, Text

STANDIN = Path(__file__).with_name("standin_worker.py")


class Standin(AudiocraftModel):
    worker = STANDIN


def asked(prompt, modality="audio", draw=0, seed=None):
    return Request(
        messages=(Message("user", (Text(prompt),)),),
        output_modalities=(modality,),
        params=Params(seed=seed),
        draw=draw,
        origin=Origin("t", "s"),
    )


def ask(tmp_path, *requests, name="facebook/audiogen-medium", python=sys.executable, **options):
    async def go():
        given = {"python": python, "duration_s": "0.5", **options}
        model = Standin(name, parse(AudiocraftOptions, given, "options"))
        try:
            await model.start(ModelContext(store=ArtifactStore(tmp_path), timeout_s=20))
            return await asyncio.gather(*(model.generate(request) for request in requests))
        finally:
            await model.stop()

    return asyncio.run(go())


def test_a_sound_with_its_seed_and_versions(tmp_path):
    one, other, seeded = ask(tmp_path, asked("a dog"), asked("a dog", draw=1), asked("a dog", seed=4))
    artifact = one.parts[0].artifact
    assert artifact.mime == "audio/wav" and artifact.duration_s == pytest.approx(0.5)
    assert artifact.lineage.name == "audiocraft/facebook/audiogen-medium"
    assert artifact.lineage.details["audiocraft"] == "0"
    assert artifact.lineage.details["duration_s"] == 0.5
    assert len({r.parts[0].artifact.sha256 for r in (one, other, seeded)}) == 3
    assert seeded.parts[0].artifact.lineage.seed == 4
    assert one.usage.audio_s_out == pytest.approx(0.5)


def test_what_goes_wrong_names_the_model(tmp_path):
    with pytest.raises(ModelError, match=r"audiocraft/x: the worker: RuntimeError"):
        ask(tmp_path, asked("error"), name="x")
    with pytest.raises(GarbageReply, match="no usable audio"):
        ask(tmp_path, asked("silence"))
    with pytest.raises(BadRequest, match="makes audio, and was asked for image"):
        ask(tmp_path, asked("a dog", "image"))


def test_without_an_environment_it_says_how_to_make_one(tmp_path):
    for python, message in ((None, "option python is not set"), ("/nowhere/python", "no such file")):
        with pytest.raises(UsageError, match=rf"{message}.*tools build-audiocraft"):
            ask(tmp_path, asked("a dog"), python=python)


def test_the_worker_is_part_of_the_identity():
    own, other = AudiocraftModel("x", AudiocraftOptions()), Standin("x", AudiocraftOptions())
    assert own.identity() != other.identity()
    assert own.capabilities().outputs == ("audio",)
