"""The learning rate, as a function of the step alone: nothing of it needs to be kept for resuming."""

from __future__ import annotations

import math

from eval_anything_train.settings import Schedule


def share_of_rate(kind: Schedule, step: int, steps: int, warmup: float) -> float:
    """The factor (0 to 1) on the highest learning rate in `step`, from 0, of `steps`.

    It rises evenly over the first `warmup * steps` steps (rounded up), whose last one has the whole rate, and
    then falls along half a cosine or a line, or stays. transformers' schedules are the same except that they
    begin at 0, so that the first step changes nothing.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    if kind == "constant":
        return 1.0
    passed = (step - rising) / max(1, steps - rising)
    return 1.0 - passed if kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * passed))
