"""Two processes on the CPU train as one does."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import tiny_models
import torch
from safetensors.torch import load_file
from servers.media_files import png
from tiny_training import Job, demonstrations, run_tiny, settings_of
from two_processes import DIVIDED, alike, column, in_two, same_curve

from eval_anything_train.manifest import read_manifest
from eval_anything_train.settings import Lora


def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    # Records with and without an image; nine of them leave a process idle in the last step of an epoch.
    model = tiny_models.tiny_qwen2_vl(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    one = settings_of(model, tmp_path / "one", batch_size=4, lr=1e-4, max_length=120)
    run_tiny(one, demonstrations(9, tmp_path / "a.png"))
    more = {"batch_size": 1, "accumulate": 2, "save_every": 3}
    two = settings_of(model, tmp_path / "two", lr=1e-4, max_length=120, **more)
    done = in_two(Job(settings=two, records=9, image=str(tmp_path / "a.png")))
    assert done.returncode == 0, done.stderr
    same_curve(two, one)
    manifest = read_manifest(tmp_path / "two")
    assert manifest is not None and manifest.finished
    assert (manifest.environment["processes"], manifest.identity["processes"]) == (2, 2)
    alike(tmp_path / "two", tmp_path / "one")


def test_a_loss_that_is_no_number_in_one_process_stops_both(tmp_path: Path) -> None:
    model = tiny_models.tiny_llama(tmp_path / "model")
    settings = settings_of(model, tmp_path / "out", batch_size=1, epochs=1, save_every=1, keep=9)
    done = in_two(Job(settings=settings, records=8, poisoned="r5"))
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("NotFinite")]
    assert said and all(line.endswith("Records of this step: 'r5'") for line in said)
    steps = len(list((tmp_path / "out" / "checkpoints").iterdir()))
    assert f"step {steps + 1}: the loss is nan" in said[0] and column(settings, "step") == list(
        range(1, steps + 1)
    )


def test_weights_divided_among_processes(tmp_path: Path) -> None:
    model = tiny_models.tiny_qwen2_vl(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    jobs: dict[str, Job] = {}
    for form, lora in (("weights", None), ("adapters", Lora(rank=2))):
        one = settings_of(model, tmp_path / f"{form}-one", epochs=1, lora=lora, lr=1e-4)
        run_tiny(one, demonstrations(8, tmp_path / "a.png"))
        more = {"batch_size": 1, "save_every": 2, "keep": 9}
        two = settings_of(model, tmp_path / form, epochs=1, lora=lora, lr=1e-4, **more)
        jobs[form] = Job(settings=two, records=8, image=str(tmp_path / "a.png"))
    done = in_two(*jobs.values(), **DIVIDED)
    assert done.returncode == 0, done.stderr
    before = {}
    for form, job in jobs.items():
        same_curve(job.settings, msgspec.structs.replace(job.settings, out=f"{job.settings.out}-one"))
        before[form] = (
            alike(tmp_path / form, tmp_path / f"{form}-one"),
            column(job.settings, "loss"),
        )
        shutil.rmtree(tmp_path / form / "final")
        shutil.rmtree(tmp_path / form / "checkpoints" / "step-00000004")
    # From the checkpoint in the middle they come to the same bits.
    done = in_two(*jobs.values(), **DIVIDED)
    assert done.returncode == 0, done.stderr
    for form, (weights, losses) in before.items():
        assert column(jobs[form].settings, "loss") == losses
        again = load_file(tmp_path / form / "final" / "model.safetensors")
        assert all(torch.equal(again[name], weights[name]) for name in weights)
