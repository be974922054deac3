"""Training of all-modality models: SFT, feedback model, reward model, DPO, PPO, KTO, SimPO, ORPO and LLF.

    import eval_anything_train
    outcome = eval_anything_train.train("dpo", model="path/or/id", data="synthetic:ti2t", out="runs/dpo")
    print(outcome.folder)               # what `eval-anything run --model hf/FOLDER` scores

Checkpoints are folders that `eval-anything run --model hf/CHECKPOINT` scores. The methods and their forms are
those of Align Anything (arXiv 2412.15838), sections 3 and 10. Importing this loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eval_anything_train.llf.manifest import LLFOutcome
    from eval_anything_train.loop import Outcome
    from eval_anything_train.settings import ChainOutcome

__all__ = ["train"]


def train(
    method: str, *, preset: str | None = None, progress: bool = False, **settings: Any
) -> Outcome | LLFOutcome | ChainOutcome:
    """What `eval-anything train METHOD` does, from Python.

    `settings` are its flags by the same names (`model`, `data`, `out`, `lr`, `lora={"rank": 8}`, ...); they
    win over those of the paper's table that `preset` names.

    An unfinished run in `out` is gone on with. Raises UsageError for a wrong name or value before anything
    starts; see `eval_anything_train.training.train` for the rest.
    """
    import sys

    from eval_anything_train import config, presets, training

    kind = config.settings_class(method)
    layers = [
        config.Layer(presets.preset(method, preset) if preset is not None else {}, f"preset {preset}"),
        config.Layer(config.plain(settings), f"train({method!r})"),
    ]
    found = config.assemble(kind, layers, f"train({method!r})")
    return training.train(method, found, sys.stderr if progress else None)
