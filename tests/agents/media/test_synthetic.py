"""The synthetic generator: real files of the scene that the prompt asks for, which the lineage tells."""

import asyncio

import msgspec
import pytest

from eval_anything.agents.media.synthetic import SyntheticModel, SyntheticOptions, render
from eval_anything.errors import BadRequest, ServerFault, UnknownName
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.synth.parse import mentions
from eval_anything.synth.scene import Object, Scene
from eval_anything.values import Message, Origin, Params, Request, Text


def asked(prompt, modality="image", sample="s", draw=0, seed=None):
    return Request(
        messages=(Message("user", (Text(prompt),)),),
        output_modalities=(modality,),
        params=Params(seed=seed),
        draw=draw,
        origin=Origin("t", sample),
    )


def ask(tmp_path, request, **options):
    async def go():
        model = SyntheticModel("scene", SyntheticOptions(**options))
        await model.start(ModelContext(store=ArtifactStore(tmp_path)))
        return await model.generate(request)

    return asyncio.run(go())


def scene_of(response):
    return msgspec.convert(response.parts[0].artifact.lineage.details["scene"], Scene)


def test_a_picture_shows_the_objects_that_were_asked_for(tmp_path):
    response = ask(tmp_path, asked("a large red circle in the top left, and two beeps"))
    artifact = response.parts[0].artifact
    assert scene_of(response) == Scene((Object("circle", "red", "large", 0),), ())
    assert artifact.mime == "image/png"
    assert ArtifactStore(tmp_path).read(artifact) == render(scene_of(response), "image")
    assert artifact.lineage.details["understood"] is True
    assert response.usage.images_out == 1


def test_a_recording_holds_the_sounds_that_were_asked_for(tmp_path):
    response = ask(tmp_path, asked("a large red circle, two beeps, then a low bell", "audio"))
    made = scene_of(response)
    assert [s.timbre for s in made.sounds] == ["beep", "beep", "bell"]
    assert made.sounds[2].pitch == "low" and made.objects == ()
    assert response.parts[0].artifact.mime == "audio/wav"


def test_a_clip_moves(tmp_path):
    response = ask(tmp_path, asked("a green ring moving left", "video"))
    made = scene_of(response)
    assert made.video and made.objects[0].motion == "left"
    assert response.parts[0].artifact.mime == "video/mp4"


@pytest.mark.parametrize("modality", ["image", "audio", "video"])
def test_other_draws_seeds_and_samples_differ_and_the_same_is_the_same(tmp_path, modality):
    def sha(**how):
        return ask(tmp_path, asked("anything at all", modality, **how)).parts[0].artifact.sha256

    assert sha() == sha()
    assert len({sha(), sha(draw=1), sha(sample="other"), sha(seed=5)}) == 4


def test_a_prompt_outside_the_vocabulary_is_random_and_says_so(tmp_path):
    for prompt, modality in (("a sunset", "image"), ("two beeps", "image"), ("a red circle", "audio")):
        response = ask(tmp_path, asked(prompt, modality))
        made = scene_of(response)
        assert response.parts[0].artifact.lineage.details["understood"] is False
        assert made.sounds if modality == "audio" else made.objects
        assert not mentions("a sunset")


def test_faults_befall_the_stated_share(tmp_path):
    with pytest.raises(ServerFault, match="synthetic/scene: server fault"):
        ask(tmp_path, asked("a star"), fault="server")
    assert ask(tmp_path, asked("a star"), fault="refused").state == "refused"
    states = [
        ask(tmp_path, asked("a star", sample=str(i)), fault="refused", fault_rate=0.5).state
        for i in range(40)
    ]
    assert 8 < states.count("refused") < 32


def test_what_cannot_be_made_is_refused_as_a_bad_request(tmp_path):
    with pytest.raises(BadRequest, match="no text"):
        ask(tmp_path, asked("   "))
    with pytest.raises(BadRequest, match="asked for text"):
        ask(tmp_path, asked("a star", "text"))
    with pytest.raises(UnknownName, match="scene"):
        SyntheticModel("scenes", SyntheticOptions())
