"""MusicGen, Janus, VITS and Bark in process: tiny ones of the real classes."""

import json
import shutil
from importlib.util import find_spec

import pytest
import tiny_generators
from hf_lab import converse

from eval_anything.agents.media.hf_media import HFMediaModel, HFMediaOptions
from eval_anything.errors import BadRequest, MissingExtra, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.values import Message, Origin, Params, Request, Text


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("generators")
    for name in ("tiny_musicgen", "tiny_janus", "tiny_vits", "tiny_bark"):
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


def test_speech_is_drawn_by_the_seed_alone(root):
    requests = [asked("the dog barks", "audio", draw=draw) for draw in range(2)]
    for name, rate in (("tiny_vits", 16000), ("tiny_bark", 8000)):
        one, other = ask(root, name, *requests)
        assert (one.mime, one.sample_rate) == ("audio/wav", rate) and one.duration_s > 0
        assert one.sha256 != other.sha256
        (again,) = ask(root, name, asked("the dog barks", "audio", sample="b", seed=other.lineage.seed))
        assert again.sha256 == other.sha256


def test_a_voice_and_how_fast_it_speaks(root):
    request = asked("the dog barks", "audio", seed=1)
    first, second, slow = (
        ask(root, "tiny_vits", request, **options)[0]
        for options in ({}, {"speaker": 1}, {"speaking_rate": 0.25})
    )
    assert first.sha256 != second.sha256 and slow.duration_s > 2 * first.duration_s
    assert second.lineage.details["speaker"] == 1 and slow.lineage.details["speaking_rate"] == 0.25
    with pytest.raises(UsageError, match="option speaker: the checkpoint has 2"):
        ask(root, "tiny_vits", request, speaker=2)
    with pytest.raises(UsageError, match=r"option speaker: a bark checkpoint has no such setting"):
        ask(root, "tiny_bark", request, speaker=0)
    with pytest.raises(BadRequest, match="none of the prompt's characters"):
        ask(root, "tiny_vits", asked("?!", "audio"))


def test_what_reads_texts_for_a_checkpoint_is_named_where_it_is_missing(root, tmp_path):
    folder = shutil.copytree(root / "tiny_vits", tmp_path / "copy")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "is_uroman": True}))
    if find_spec("uroman") is None:
        with pytest.raises(MissingExtra, match="pip install uroman"):
            ask(tmp_path, "copy", asked("the dog", "audio"))


def test_pickled_weights_are_refused(root, tmp_path):
    folder = shutil.copytree(root / "tiny_vits", tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"only pickled weights \(pytorch_model.bin\)"):
        ask(tmp_path, "copy", asked("the dog", "audio"))
