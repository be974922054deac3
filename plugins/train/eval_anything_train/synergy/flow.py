"""`train synergy`: a judge with fresh weights, the stages of the recipe one on another, an examination."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

import msgspec

from eval_anything.models.hf import load
from eval_anything_train.chain import Chain, read_recipe
from eval_anything_train.checkpoint import write_file
from eval_anything_train.settings import Settings
from eval_anything_train.synergy.settings import RECIPE, Recipe, Stage, SynergyOutcome, SynergySettings


def synergy(settings: SynergySettings, stream: TextIO | None = sys.stderr) -> SynergyOutcome:
    """Do what is not done yet in `settings.out`; each stage is resumed where it stopped.

    Raises as `scenes.flow.scenes`.
    """
    recipe: Recipe = read_recipe(Path(settings.recipe) if settings.recipe else RECIPE, Recipe)
    chain = Chain(settings, recipe, stream)
    load.libraries()
    from eval_anything_train.synergy import carrier
    from eval_anything_train.synergy.judge import Judge

    parent = chain.carrier(lambda folder: carrier.build(folder, settings.seed))
    for number, stage in enumerate(recipe.stages, 1):
        parent = chain.train(number, stage, parent, lambda own, stage=stage: _method(own, stage))  # type: ignore[misc]
    final = chain.finish(lambda folder: Judge(parent).save(folder, "bfloat16"))
    lines = [f"trained judge: {final}", f"to use it:     eval-anything run --judge synergy -J model={final}"]
    if settings.exam:
        lines.append(_examined(final, settings, chain))
    return SynergyOutcome(final, recipe, "\n".join(lines))


def _method(settings: Settings, stage: Stage) -> Any:
    from eval_anything_train.synergy.judge import Judge
    from eval_anything_train.synergy.prefer import Prefer
    from eval_anything_train.synergy.senses import LearnSense

    judge = Judge(Path(settings.model))
    if stage.method in ("sight", "hearing"):
        return LearnSense(judge, settings, stage.method)
    return Prefer(judge, settings, language=stage.method == "everything", words=stage.words)


def _examined(final: Path, settings: SynergySettings, chain: Chain) -> str:
    from eval_anything_train.synergy.exam import examine, table

    chain.say("examination")
    folder = chain.out / f"exam-{settings.exam_seed}-{settings.exam}"
    folder.mkdir(exist_ok=True)
    report = examine(final, settings.exam, settings.exam_seed)
    write_file(folder / "report.json", msgspec.json.format(msgspec.json.encode(report), indent=1))
    write_file(folder / "report.md", f"{table(report)}\n".encode())
    return f"\n{table(report)}\n\nin {folder / 'report.md'}"
