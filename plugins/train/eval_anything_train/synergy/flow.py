"""`train synergy`: a judge with fresh weights, the stages of the recipe one on another, an examination."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

import msgspec

from eval_anything.models.hf import load
from eval_anything_train.chain import Chain
from eval_anything_train.settings import ChainOutcome, Settings
from eval_anything_train.synergy.settings import RECIPE, Stage, SynergySettings


def synergy(settings: SynergySettings, stream: TextIO | None = sys.stderr) -> ChainOutcome:
    """Do what is not done yet in `settings.out`; each stage is resumed where it stopped.

    Raises as `scenes.flow.scenes`.
    """
    chain = Chain(settings, RECIPE, Stage, stream)
    load.libraries()
    from eval_anything_train.synergy import carrier
    from eval_anything_train.synergy.judge import Judge

    parent = chain.train(chain.carrier(lambda folder: carrier.build(folder, settings.seed)), _method)
    final = chain.finish(lambda folder: Judge(parent).save(folder, "bfloat16"))
    lines = [f"trained judge: {final}", f"to use it:     eval-anything run --judge synergy -J model={final}"]
    if settings.exam:
        lines.append(chain.examine(settings.exam, lambda folder: _examined(final, settings)))
    return ChainOutcome(final, chain.recipe, "\n".join(lines))


def _method(settings: Settings, stage: Stage) -> Any:
    from eval_anything_train.synergy.judge import Judge
    from eval_anything_train.synergy.prefer import Everything, Projectors
    from eval_anything_train.synergy.reading import Reading
    from eval_anything_train.synergy.senses import Hearing, Sight

    judge = Judge(Path(settings.model))
    match stage.method:
        case "sight":
            return Sight(judge, settings)
        case "hearing":
            return Hearing(judge, settings)
        case "reading":
            return Reading(judge, settings, stage.words)
        case "projectors":
            return Projectors(judge, settings)
        case _:
            return Everything(judge, settings)


def _examined(final: Path, settings: SynergySettings) -> tuple[msgspec.Struct, str]:
    from eval_anything_train.synergy.exam import examine, table

    report = examine(final, settings.exam, settings.exam_seed)
    return report, table(report)
