"""Diffusers pipelines in process: tiny ones of the real classes, saved and loaded as real ones are."""

import asyncio
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny_generators
import tiny_rewards
from hf_lab import converse
from servers.hub_server import HubServer

import eval_anything
from eval_anything.agents.media import settings
from eval_anything.agents.media.diffusion import DiffusersModel, DiffusersOptions
from eval_anything.agents.media.pipelines import modality_of, read_index
from eval_anything.cli.main import main
from eval_anything.errors import BadRequest, UsageError
from eval_anything.media.convert import load_audio
from eval_anything.media.store import ArtifactStore
from eval_anything.values import Message, Origin, Params, Request, Text

SMALL = {
    "tiny_sd": {"steps": 2},
    "tiny_sd_that_hides": {"steps": 1},
    "tiny_flux": {"steps": 1, "width": 16, "height": 16},
    "tiny_cogvideox": {"steps": 1, "frames": 9, "width": 16, "height": 16, "max_prompt_tokens": 16},
    "tiny_audioldm2": {"steps": 1, "duration_s": 0.1},
}


def asked(prompt, modality="image", sample="s", draw=0, **params):
    return Request(
        messages=(Message("user", (Text(prompt),)),),
        output_modalities=(modality,),
        params=Params(**params),
        draw=draw,
        origin=Origin("t", sample),
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Folders of tiny pipelines, each built once, and a store."""
    root = tmp_path_factory.mktemp("generators")
    built = {}

    class Lab:
        store = ArtifactStore(root / "media")

        def folder(self, builder):
            if builder not in built:
                (root / builder).mkdir()
                built[builder] = getattr(tiny_generators, builder)(root / builder)
            return built[builder]

        def model(self, builder, **options):
            return DiffusersModel(str(self.folder(builder)), DiffusersOptions(**SMALL[builder], **options))

        def ask(self, builder, *requests, together=True, **options):
            return converse(self.model(builder, **options), self.store, requests, together=together)

        def copy(self, builder, target):
            return shutil.copytree(self.folder(builder), target / "copy")

    return Lab()


def shas(responses):
    return [r.parts[0].artifact.sha256 for r in responses]


def test_an_image_is_the_same_alone_and_in_a_batch(lab):
    requests = [asked("a red circle"), asked("the blue star", sample="b"), asked("a red circle", draw=1)]
    together = lab.ask("tiny_sd", *requests)
    assert shas(together) == shas(lab.ask("tiny_sd", *requests, together=False))
    assert len(set(shas(together))) == 3
    artifact = together[0].parts[0].artifact
    assert (artifact.mime, artifact.width, artifact.height) == ("image/png", 32, 32)
    assert together[0].usage.images_out == 1
    assert artifact.lineage.prompt == "a red circle"
    assert artifact.lineage.details == {"pipeline": "StableDiffusionPipeline", "steps": 2, "guidance": 7.5}


def alone_and_together(lab, builder, modality):
    """Prompts of several lengths, of which some pipelines would pad the shorter ones."""
    prompts = ("a dog", "the dog barks and barks", "a cat")
    requests = [asked(prompt, modality, sample=prompt) for prompt in prompts]
    together = lab.ask(builder, *requests, batch_size=3)
    assert len(set(shas(together))) == 3
    return lab.ask(builder, *requests, together=False), together


def test_a_video_is_the_same_alone_and_in_a_batch(lab):
    alone, together = alone_and_together(lab, "tiny_cogvideox", "video")
    assert shas(alone) == shas(together)


def test_a_sound_is_the_same_alone_and_in_a_batch_but_for_rounding(lab):
    for pair in zip(*alone_and_together(lab, "tiny_audioldm2", "audio"), strict=True):
        one, other = (load_audio(lab.store.path(r.parts[0].artifact), 16000) for r in pair)
        assert np.abs(one).max() > 0.1
        assert np.abs(one - other).max() < 2 / 2**15  # a step of 16 bits


def test_noise_that_no_generator_of_the_request_gives_is_seeded_too(lab, tmp_path):
    """The scheduler of FLUX, told to sample with noise in each step, draws from torch's own generator."""
    folder = lab.copy("tiny_flux", tmp_path)
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "stochastic_sampling": True}))
    options = DiffusersOptions(**{**SMALL["tiny_flux"], "steps": 2})

    def made(*requests, together=True):
        return shas(converse(DiffusersModel(str(folder), options), lab.store, requests, together=together))

    requests = [asked("a dog"), asked("a dog", draw=1), asked("a dog", seed=5)]
    found = made(*requests)
    assert found == made(*requests, together=False) == made(*reversed(requests))[::-1]
    assert len(set(found)) == 3


def test_half_precision(lab):
    whole, half = lab.ask("tiny_sd", asked("a dog")), lab.ask("tiny_sd", asked("a dog"), dtype="bfloat16")
    assert half[0].state == "ok" and shas(half) != shas(whole)
    assert lab.model("tiny_sd", dtype="bfloat16").identity()["dtype"] == "bfloat16"


def test_the_seed_of_the_lineage_makes_the_image_again(lab):
    (first,) = lab.ask("tiny_sd", asked("a red circle"))
    lineage = first.parts[0].artifact.lineage
    (again,) = lab.ask("tiny_sd", asked("a red circle", sample="another", seed=lineage.seed))
    assert shas([again]) == shas([first])
    (other,) = lab.ask("tiny_sd", asked("a red circle", seed=lineage.seed + 1))
    assert shas([other]) != shas([first])


def test_settings_change_the_image(lab):
    plain, negative, guided = (
        shas(lab.ask("tiny_sd", asked("a red circle", seed=1), asked("a star", seed=1), **options))
        for options in ({}, {"negative_prompt": "dog"}, {"guidance": 1.5})
    )
    assert len({plain[0], negative[0], guided[0]}) == 3


def test_an_image_that_the_safety_checker_hides_is_refused(lab):
    (response,) = lab.ask("tiny_sd_that_hides", asked("a red circle"))
    assert response.state == "refused" and response.finish_reason == "content_filter"
    assert "safety checker" in response.text


def test_a_distilled_flux_has_the_settings_of_the_paper(lab):
    preset = DiffusersModel(str(lab.folder("tiny_flux")), DiffusersOptions()).identity()
    assert preset["settings"] == {"steps": 4, "guidance": 0.0, "max_prompt_tokens": 256}
    assert preset["pipeline"] == "FluxPipeline" and len(preset["checkpoint"]) == 64
    (response,) = lab.ask("tiny_flux", asked("a red circle"))
    details = response.parts[0].artifact.lineage.details
    assert (details["steps"], details["guidance"], details["width"]) == (1, 0.0, 16)
    assert response.notes == ()
    (long,) = lab.ask("tiny_flux", asked("the dog barks " * 40))
    assert "tokens of the prompt were not read" in long.notes[0]


def test_a_video_has_the_frames_and_the_rate_that_were_asked_for(lab):
    one, other = lab.ask("tiny_cogvideox", asked("a dog", "video"), asked("a dog", "video", draw=1), fps=4)
    artifact = one.parts[0].artifact
    assert artifact.mime == "video/mp4" and artifact.duration_s == pytest.approx(9 / 4)
    assert artifact.lineage.details["fps"] == 4 and artifact.lineage.details["guidance"] == 6.0
    assert shas([one]) != shas([other])


def test_audio_has_the_duration_and_the_rate_of_the_pipeline(lab):
    one, other = lab.ask("tiny_audioldm2", asked("a dog", "audio"), asked("a dog", "audio", draw=1))
    artifact = one.parts[0].artifact
    assert artifact.mime == "audio/wav" and artifact.sample_rate == 16000
    assert artifact.duration_s == pytest.approx(0.1)
    assert shas([one]) != shas([other])
    assert DiffusersModel(str(lab.folder("tiny_audioldm2")), DiffusersOptions()).identity()["settings"] == {
        "steps": 200,
        "duration_s": 10.0,
    }


def test_what_a_pipeline_cannot_do_is_said(lab):
    with pytest.raises(BadRequest, match=r"makes image, and was asked for audio"):
        lab.ask("tiny_sd", asked("a dog", "audio"))
    with pytest.raises(BadRequest, match=r"params.extra"):
        lab.ask("tiny_sd", asked("a dog", extra={"eta": 1}))
    with pytest.raises(UsageError, match=r"option frames: StableDiffusionPipeline has no such setting"):
        lab.ask("tiny_sd", asked("a dog"), frames=3)
    for offload in ("model", "sequential"):
        with pytest.raises(UsageError, match=f"option offload: '{offload}' moves weights to a GPU"):
            lab.model("tiny_sd", offload=offload, device="cpu").identity()
    with pytest.raises(UsageError, match="option fps: StableDiffusionPipeline has no such setting"):
        lab.model("tiny_sd", fps=8).identity()


def test_guidance_that_would_be_passed_over_is_refused(lab):
    said = {
        "option negative_prompt: FluxPipeline looks at it where true_guidance is above 1; it is 1": {
            "negative_prompt": "dog"
        },
        "option true_guidance: it leads away from negative_prompt": {"true_guidance": 2},
        "option guidance: this checkpoint of FluxPipeline takes none": {"guidance": 3.5},
    }
    for message, options in said.items():
        with pytest.raises(UsageError, match=message):
            lab.model("tiny_flux", **options).identity()
    with pytest.raises(UsageError, match=r"looks at it where guidance is above 1; it is 0\.5"):
        lab.model("tiny_sd", negative_prompt="dog", guidance=0.5).identity()
    plain, led = (
        lab.ask("tiny_flux", asked("a red circle", seed=1), **options)[0].parts[0].artifact
        for options in ({}, {"true_guidance": 4, "negative_prompt": "dog"})
    )
    assert plain.sha256 != led.sha256
    assert led.lineage.details["true_guidance"] == 4 and "true_guidance" not in plain.lineage.details


def test_what_it_makes_and_takes_is_looked_at_before_anything_is_loaded(lab, tmp_path, capsys):
    def ended(builder, *more):
        spec, out = f"diffusers/{lab.folder(builder)}", tmp_path / "run"
        code = main(["run", "--model", spec, "--data", "synthetic:n=3", "--out", str(out), "-q", *more])
        assert code == 2 and not out.exists()
        return capsys.readouterr().err

    assert "task amu asks for words" in ended("tiny_sd", "--tasks", "image_reward,amu")
    assert "it can be a tool itself (-A audio=" in ended("tiny_audioldm2", "--tasks", "image_reward")
    assert "agent native" in ended("tiny_sd", "--tasks", "amg_instruction_audio", "--agent", "native")
    assert "needs text output" in ended("tiny_sd", "--tasks", "interleaved_bench", "--agent", "none")
    assert "option frames" in ended("tiny_sd", "--tasks", "image_reward", "-M", "frames=3")
    offload = ("-M", "offload=model", "-M", "device=cpu")
    assert "option offload" in ended("tiny_sd", "--tasks", "image_reward", *offload)


def run(lab, builder, task, out, **options):
    spec = f"diffusers/{lab.folder(builder)}"
    options = {"data": "synthetic:n=4", "model_options": SMALL[builder], **options}
    return eval_anything.evaluate(spec, [task], out=out, **options).tasks[0]


def test_images_of_a_pipeline_as_the_model_are_scored(lab, tmp_path):
    judge = tiny_rewards.image_reward(tmp_path / "judge")
    scored = {"judge": "image_reward", "judge_options": {"model": str(judge), "device": "cpu"}, "seed": 3}
    first = run(lab, "tiny_sd", "image_reward", tmp_path / "first", repeats=2, **scored)
    assert first.counts.scored == 8 and not first.counts.errors
    alone = {**SMALL["tiny_sd"], "batch_size": 1}
    again = run(lab, "tiny_sd", "image_reward", tmp_path / "again", repeats=2, model_options=alone, **scored)
    assert again.fingerprint == first.fingerprint
    assert again.metrics[0].value == pytest.approx(first.metrics[0].value, abs=1e-5)  # the judge batches too
    media = [{p.name for p in (tmp_path / name / "media").rglob("*.png")} for name in ("first", "again")]
    assert media[0] == media[1] and len(media[0]) == 8
    hidden = run(lab, "tiny_sd_that_hides", "image_reward", tmp_path / "hidden", **scored)
    assert hidden.counts.refused == 4 and not hidden.counts.scored


def test_a_task_of_videos_is_answered_by_a_pipeline_as_the_model(lab, tmp_path):
    result = run(lab, "tiny_cogvideox", "amg_instruction_video", tmp_path / "run")
    assert (result.counts.ok, result.counts.scored) == (4, 0)  # the offline judge sees scenes, not noise
    assert len(list((tmp_path / "run" / "media").rglob("*.mp4"))) == 4


def test_rates_of_videos_that_nothing_tells_are_noted(lab, tmp_path):
    model = lab.model("tiny_cogvideox")
    assert model.options.settings(model.index).fps == 8 and model.notes() == ()
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "LattePipeline"}))
    unknown = DiffusersModel(str(tmp_path), DiffusersOptions())
    assert "nothing says how many frames per second LattePipeline makes" in unknown.notes()[0]
    assert DiffusersModel(str(tmp_path), DiffusersOptions(fps=12)).notes() == ()
    for pipeline, rate in (("LTXPipeline", 25), ("WanPipeline", 16)):
        (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
        found = read_index(tmp_path)
        assert settings.effective(found, settings.Settings())["fps"] == rate
    given = settings.arguments(found, settings.Settings(fps=24))
    assert given == {}  # Wan is not told
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "LTXPipeline"}))
    assert settings.arguments(read_index(tmp_path), settings.Settings(fps=24)) == {"frame_rate": 24}


def load(folder):
    model = DiffusersModel(str(folder), DiffusersOptions(steps=1))
    return converse(model, ArtifactStore(folder.parent / "media"), [asked("a dog")])


def test_pickled_weights_are_refused(lab, tmp_path):
    folder = lab.copy("tiny_sd", tmp_path)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "weights.bin")
    with pytest.raises(UsageError, match=r"only pickled weights \(weights.bin\)"):
        load(folder)


def test_missing_weights_are_no_random_numbers(lab, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = lab.copy("tiny_sd", tmp_path)
    for component, file in (
        ("unet", "diffusion_pytorch_model.safetensors"),
        ("text_encoder", "model.safetensors"),
    ):
        path = folder / component / file
        whole = load_file(path)
        save_file(dict(sorted(whole.items())[1:]), path, metadata={"format": "pt"})
        with pytest.raises(UsageError, match=rf"{component}: .*(lacks|missing)"):
            load(folder)
        save_file(whole, path, metadata={"format": "pt"})


def test_cut_and_absent_files_are_named(lab, tmp_path):
    folder = lab.copy("tiny_sd", tmp_path)
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"vae.*damaged"):
        load(folder)
    path.unlink()
    with pytest.raises(UsageError, match=r"cannot be loaded"):
        load(folder)


INDEXES = {
    "no JSON": ("{", "not readable as JSON"),
    "no object": ("[]", "expected a JSON object"),
    "no class": ("{}", "_class_name"),
    "code": ('{"_class_name": ["pipeline", "MyPipeline"]}', "never run"),
    "code of a component": (
        '{"_class_name": "StableDiffusionPipeline", "unet": ["my_unet", "MyUNet"]}',
        "component 'unet'.*never run",
    ),
    "outside": ('{"_class_name": "StableDiffusionPipeline", "unet": ["../x", "A"]}', "never run"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_is_none_is_refused_before_anything_is_loaded(tmp_path, name):
    text, message = INDEXES[name]
    (tmp_path / "model_index.json").write_text(text)
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "my_unet.py").write_text("raise SystemExit('this code ran')")
    with pytest.raises(UsageError, match=message):
        DiffusersModel(str(tmp_path), DiffusersOptions()).capabilities()


def test_other_pipelines_are_told_by_what_they_give(tmp_path):
    from eval_anything.agents.media.diffusers_run import libraries

    libraries()

    def made_by(pipeline):
        (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
        return modality_of(read_index(tmp_path))

    assert made_by("PixArtAlphaPipeline") == "image"
    assert made_by("WanPipeline") == "video"
    with pytest.raises(UsageError, match="did you mean FluxPipeline"):
        made_by("FluksPipeline")
    with pytest.raises(UsageError, match="does not start from a text alone"):
        made_by("StableDiffusionImg2ImgPipeline")
    with pytest.raises(UsageError, match=r"no model_index.json"):
        read_index(tmp_path / "nowhere")


FIND = """
import sys
from eval_anything.models.hf.checkpoint import find
for weights in (False, True):
    folder, commit = find("owner/sd", sys.argv[1], weights, "diffusers")
    print(sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()))
"""


def test_of_a_hub_repository_only_what_is_needed_is_fetched(tmp_path):
    commit = "a" * 40
    wanted = ["model_index.json", "unet/config.json", "unet/model.safetensors"]
    others = [
        "pipeline.py", "sd.safetensors", "unet/code.py", "unet/model.bin", "unet/model.fp16.safetensors",
        "unet/model.non_ema.safetensors",
    ]  # fmt: skip
    own = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}

    async def serve():
        files = dict.fromkeys((*wanted, *others), b"{}")
        async with HubServer("owner/sd", commit, files, "models") as server:
            environment = {**os.environ, **own, "HF_ENDPOINT": server.url}
            command = [sys.executable, "-c", FIND, commit]
            return await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, check=True, env=environment
            )

    assert asyncio.run(serve()).stdout.splitlines() == [str(wanted[:2]), str(wanted)]
