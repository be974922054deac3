"""`train scenes`: a carrier with fresh weights, the stages of the recipe one on another, an examination."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, TextIO

import msgspec

from eval_anything.models.hf import load
from eval_anything_train.chain import Chain, read_recipe
from eval_anything_train.checkpoint import write_file
from eval_anything_train.policy import policy_for
from eval_anything_train.scenes.settings import RECIPE, Recipe, ScenesOutcome, ScenesSettings, Stage
from eval_anything_train.settings import Settings


def scenes(settings: ScenesSettings, stream: TextIO | None = sys.stderr) -> ScenesOutcome:
    """Do what is not done yet in `settings.out`; each stage is resumed where it stopped.

    Raises UsageError for a recipe that cannot be read, RunConflict where the folder holds another recipe's
    work, and what trainings raise.
    """
    recipe: Recipe = read_recipe(Path(settings.recipe) if settings.recipe else RECIPE, Recipe)
    chain = Chain(settings, recipe, stream)
    load.libraries()
    from eval_anything_train.scenes import carrier

    parent = chain.carrier(lambda folder: carrier.build(folder, settings.seed))
    for number, stage in enumerate(recipe.stages, 1):
        parent = chain.train(number, stage, parent, lambda own, stage=stage: _method(own, stage))  # type: ignore[misc]
    final = chain.finish(lambda folder: _halved(parent, folder))
    lines = [f"trained model: {final}", f"to score it:   eval-anything run --model hf/{final} --tasks amu"]
    if settings.exam:
        lines.append(_examined(final, settings, chain))
    return ScenesOutcome(final, recipe, "\n".join(lines))


def _method(settings: Settings, stage: Stage) -> Any:
    from eval_anything_train.scenes.perceive import Perceive
    from eval_anything_train.scenes.study import Study

    policy = policy_for(settings)
    return Perceive(policy, settings) if stage.method == "perceive" else Study(policy, settings, stage.course)


def _examined(final: Path, settings: ScenesSettings, chain: Chain) -> str:
    from eval_anything_train.scenes.exam import examine, table

    chain.say("examination")
    folder = chain.out / f"exam-{settings.exam_seed}-{settings.exam}"
    report = examine(f"hf/{final}", folder, settings.exam, settings.exam_seed)
    write_file(folder / "report.json", msgspec.json.format(msgspec.json.encode(report), indent=1))
    write_file(folder / "report.md", f"{table(report)}\n".encode())
    return f"\n{table(report)}\n\nin {folder / 'report.md'}"


def _halved(parent: Path, folder: Path) -> None:
    """The checkpoint in bfloat16, half as large."""
    import torch
    from transformers import AutoModelForMultimodalLM

    model = AutoModelForMultimodalLM.from_pretrained(parent, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    for path in sorted(parent.iterdir()):
        if path.is_file() and not (folder / path.name).exists() and path.suffix != ".safetensors":
            shutil.copyfile(path, folder / path.name)
