"""The learning rate."""

from __future__ import annotations

import math

import pytest
import torch

from eval_anything.models.hf import load
from eval_anything_train.schedule import share_of_rate


def test_it_rises_to_the_whole_rate_and_falls_along_half_a_cosine() -> None:
    found = [share_of_rate("cosine", step, 10, 0.2) for step in range(10)]
    falling = [0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8)]
    assert found == pytest.approx([0.5, 1.0, *falling])


def test_linear_and_constant() -> None:
    assert [share_of_rate("linear", step, 4, 0.0) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert [share_of_rate("constant", step, 4, 0.5) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]


def test_the_only_step_of_a_run_is_made_at_the_whole_rate() -> None:
    assert share_of_rate("cosine", 0, 1, 0.03) == 1.0


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_after_the_warm_up_it_is_that_of_transformers(kind: str) -> None:
    load.libraries()
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_scheduler(kind, optimizer, num_warmup_steps=3, num_training_steps=30)
    for step in range(30):
        if step >= 3:
            assert share_of_rate(kind, step, 30, 0.1) == pytest.approx(theirs.get_last_lr()[0])  # type: ignore[arg-type]
        optimizer.step()
        theirs.step()
