"""MusicGen and Janus in process: tiny ones of the real classes."""

import json

import pytest
import tiny_generators
from hf_lab import converse

from eval_anything.agents.media.hf_media import HFMediaModel, HFMediaOptions
from eval_anything.errors import BadRequest, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.values import Message, Origin, Params, Request, Text


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("generators")
    for name in ("tiny_musicgen", "tiny_janus"):
        (root / name).mkdir()
        getattr(tiny_generators, name)(root / name)
    return root


def asked(prompt, modality, sample="s", draw=0, **params):
    return Request(
        messages=(Message("user", (Text(prompt),)),),
        output_modalities=(modality,),
        params=Params(**params),
        draw=draw,
        origin=Origin("t", sample),
    )


def ask(root, name, *requests, together=True, **options):
    model = HFMediaModel(str(root / name), HFMediaOptions(**options))
    return [
        response.parts[0].artifact
        for response in converse(model, ArtifactStore(root / "media"), requests, together=together)
    ]


def test_music_has_the_duration_and_the_rate_of_the_model(root):
    requests = [asked("a dog", "audio", draw=draw) for draw in range(2)]
    one, other = ask(root, "tiny_musicgen", *requests, duration_s=0.1)
    assert one.mime == "audio/wav" and one.sample_rate == 8000
    assert one.duration_s == pytest.approx(0.1)
    assert one.sha256 != other.sha256
    assert one.lineage.details["guidance"] == 3.0 and one.lineage.details["duration_s"] == 0.1
    alone = ask(root, "tiny_musicgen", *reversed(requests), together=False, duration_s=0.1)
    assert [a.sha256 for a in alone] == [other.sha256, one.sha256]


def test_the_seed_of_the_lineage_makes_the_image_again(root):
    one, other, greedy = ask(
        root,
        "tiny_janus",
        asked("a red circle", "image"),
        asked("a red circle", "image", sample="b"),
        asked("a red circle", "image", temperature=0.0),
    )
    assert (one.mime, one.width, one.height) == ("image/png", 8, 8)
    assert len({one.sha256, other.sha256, greedy.sha256}) == 3
    (again,) = ask(root, "tiny_janus", asked("a red circle", "image", seed=one.lineage.seed))
    assert again.sha256 == one.sha256
    assert one.lineage.details == {"guidance": 5.0, "model_type": "janus", "do_sample": True}


def test_images_without_guidance(root):
    plain, guided = (ask(root, "tiny_janus", asked("a dog", "image"), guidance=g)[0] for g in (1, 100))
    assert plain.lineage.details["guidance"] == 1.0
    assert plain.sha256 != guided.sha256


def test_what_a_model_makes_is_known_before_its_weights_are_read(root):
    music = HFMediaModel(str(root / "tiny_musicgen"), HFMediaOptions())
    assert music.capabilities().outputs == ("audio",)
    assert music.identity()["model_type"] == "musicgen" and len(music.identity()["checkpoint"]) == 64
    assert HFMediaModel(str(root / "tiny_janus"), HFMediaOptions()).capabilities().outputs == ("image",)


def test_what_it_cannot_do_is_said(root, tmp_path):
    with pytest.raises(BadRequest, match="makes image, and was asked for audio"):
        ask(root, "tiny_janus", asked("a dog", "audio"))
    with pytest.raises(UsageError, match="duration_s"):
        ask(root, "tiny_janus", asked("a dog", "image"), duration_s=3)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "musicgem"}))
    with pytest.raises(UsageError, match="musicgen"):
        HFMediaModel(str(tmp_path), HFMediaOptions()).capabilities()
    with pytest.raises(UsageError, match="no such folder"):
        HFMediaModel("./nowhere", HFMediaOptions()).capabilities()
