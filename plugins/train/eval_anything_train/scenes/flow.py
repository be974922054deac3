"""`train scenes`: a carrier with fresh weights, the stages of the recipe one on another, an examination."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, TextIO

import msgspec

from eval_anything.models.hf import load
from eval_anything_train.chain import Chain
from eval_anything_train.policy import policy_for
from eval_anything_train.scenes.settings import RECIPE, ScenesSettings, Stage
from eval_anything_train.settings import ChainOutcome, Settings


def scenes(settings: ScenesSettings, stream: TextIO | None = sys.stderr) -> ChainOutcome:
    """Do what is not done yet in `settings.out`; each stage is resumed where it stopped.

    Raises UsageError for a recipe that cannot be read, RunConflict where the folder holds another recipe's
    work, and what trainings raise.
    """
    chain = Chain(settings, RECIPE, Stage, stream)
    load.libraries()
    from eval_anything_train.scenes import carrier

    parent = chain.train(chain.carrier(lambda folder: carrier.build(folder, settings.seed)), _method)
    final = chain.finish(lambda folder: _halved(parent, folder))
    lines = [f"trained model: {final}", f"to score it:   eval-anything run --model hf/{final} --tasks amu"]
    if settings.exam:
        lines.append(chain.examine(settings.exam, lambda folder: _examined(final, settings, folder)))
    return ChainOutcome(final, chain.recipe, "\n".join(lines))


def _method(settings: Settings, stage: Stage) -> Any:
    from eval_anything_train.scenes.perceive import Perceive
    from eval_anything_train.scenes.study import Study

    policy = policy_for(settings)
    return Perceive(policy, settings) if stage.method == "perceive" else Study(policy, settings, stage.course)


def _examined(final: Path, settings: ScenesSettings, folder: Path) -> tuple[msgspec.Struct, str]:
    from eval_anything_train.scenes.exam import examine, table

    report = examine(f"hf/{final}", folder, settings.exam, settings.exam_seed)
    return report, table(report)


def _halved(parent: Path, folder: Path) -> None:
    """The checkpoint in bfloat16, half as large."""
    import torch
    from transformers import AutoModelForMultimodalLM

    model = AutoModelForMultimodalLM.from_pretrained(parent, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    for path in sorted(parent.iterdir()):
        if path.is_file() and not (folder / path.name).exists() and path.suffix != ".safetensors":
            shutil.copyfile(path, folder / path.name)
