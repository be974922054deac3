"""Each loss against values and gradients worked out by hand, and against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from eval_anything_train.losses import language, preference

LOG_PROB = st.floats(-60, -1e-3)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def gradients(loss: Tensor, *leaves: Tensor) -> list[list[float]]:
    return [g.tolist() for g in torch.autograd.grad(loss, leaves)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def nll(x: float) -> float:
    """-log sigmoid(x)."""
    return math.log1p(math.exp(-x))


def close(found: float | Sequence[float], expected: float | Sequence[float]) -> bool:
    return bool(found == pytest.approx(expected, rel=1e-12, abs=1e-12))


def test_sft_is_the_mean_over_all_answer_tokens_not_over_rows() -> None:
    logprobs = tensor(-1.0, -2.0, 0.0, 0.0, -5.0, 0.0).reshape(2, 3)
    mask = torch.tensor([[True, True, False], [False, True, False]])
    assert close(language.sft(logprobs, mask).item(), 8 / 3)


def test_sums_and_means_leave_out_what_is_masked() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, -9.0], [-9.0, -5.0, -9.0]])
    mask = torch.tensor([[True, True, False], [False, True, False]])
    assert language.sums(logprobs, mask).tolist() == [-3.0, -5.0]
    assert language.means(logprobs, mask).tolist() == [-1.5, -5.0]
    assert language.means(logprobs, mask, torch.tensor([6, 10])).tolist() == [-0.5, -0.5]


def test_reward() -> None:
    chosen, rejected = tensor(1.0, -0.5), tensor(0.25, 2.0)
    loss = preference.reward(chosen, rejected, 0.01)
    pull = 0.01 * (1.0 + 0.25 + 0.0625 + 4.0) / 4
    assert close(loss.item(), (nll(0.75) + nll(-2.5)) / 2 + pull)
    of_chosen, of_rejected = gradients(loss, chosen, rejected)
    force = [sigmoid(-0.75) / 2, sigmoid(2.5) / 2]
    assert close(of_chosen, [-force[0] + 0.005 * 1.0, -force[1] + 0.005 * -0.5])
    assert close(of_rejected, [force[0] + 0.005 * 0.25, force[1] + 0.005 * 2.0])


def test_dpo() -> None:
    chosen, rejected = tensor(-10.0, -3.0), tensor(-12.0, -2.0)
    before = torch.tensor([-11.0, -3.5]).double(), torch.tensor([-11.5, -4.0]).double()
    loss = preference.dpo(chosen, rejected, *before, beta=0.2)
    margins = [(1.0 - -0.5), (0.5 - 2.0)]
    assert close(loss.item(), sum(nll(0.2 * m) for m in margins) / 2)
    of_chosen, of_rejected = gradients(loss, chosen, rejected)
    force = [0.2 * sigmoid(-0.2 * m) / 2 for m in margins]
    assert close(of_chosen, [-f for f in force])
    assert close(of_rejected, force)


def test_dpo_of_an_unchanged_policy_is_log_two() -> None:
    same = torch.tensor([-4.0, -9.0]), torch.tensor([-5.0, -1.0])
    assert preference.dpo(*same, *same).item() == pytest.approx(math.log(2))


def test_simpo() -> None:
    chosen, rejected = tensor(-0.5, -2.0), tensor(-1.0, -1.5)
    loss = preference.simpo(chosen, rejected, beta=2.0, gamma=0.6)
    inner = [2.0 * 0.5 - 0.6, 2.0 * -0.5 - 0.6]
    assert close(loss.item(), sum(map(nll, inner)) / 2)
    of_chosen, _ = gradients(loss, chosen, rejected)
    assert close(of_chosen, [-2.0 * sigmoid(-x) / 2 for x in inner])


def test_orpo() -> None:
    chosen, rejected = tensor(math.log(0.6), math.log(0.2)), tensor(math.log(0.3), math.log(0.5))
    loss = preference.orpo(chosen, rejected, weight=0.5)
    ratios = [math.log((0.6 / 0.4) / (0.3 / 0.7)), math.log((0.2 / 0.8) / (0.5 / 0.5))]
    imitation = -(math.log(0.6) + math.log(0.2)) / 2
    assert close(loss.item(), imitation + 0.5 * sum(map(nll, ratios)) / 2)
    of_chosen, of_rejected = gradients(loss, chosen, rejected)
    # The log odds of p change by 1 / (1 - p) with log p.
    force = [0.5 * sigmoid(-r) / 2 for r in ratios]
    assert close(of_chosen, [-0.5 - force[0] / 0.4, -0.5 - force[1] / 0.8])
    assert close(of_rejected, [force[0] / 0.7, force[1] / 0.5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("edge", [0.0, -1e-45, -1e-12, -1e-8, -1e-7, -math.log(2), -90.0, -1e4])
def test_orpo_stays_finite_where_probabilities_are_near_one_or_zero(edge: float, dtype: torch.dtype) -> None:
    chosen = torch.tensor([edge, -1.0], dtype=dtype, requires_grad=True)
    rejected = torch.tensor([-1.0, edge], dtype=dtype, requires_grad=True)
    loss = preference.orpo(chosen, rejected)
    loss.backward()
    assert chosen.grad is not None and rejected.grad is not None
    assert all(bool(t.isfinite().all()) for t in (loss, chosen.grad, rejected.grad))


@given(LOG_PROB, LOG_PROB)
def test_the_odds_ratio_is_the_plain_formula(chosen: float, rejected: float) -> None:
    def odds(log_p: float) -> float:
        return log_p - math.log(-math.expm1(log_p))

    found = preference.log_odds_ratio(tensor(chosen), tensor(rejected)).item()
    assert found == pytest.approx(odds(chosen) - odds(rejected), rel=1e-9, abs=1e-9)


KL = torch.tensor(0.3, dtype=torch.float64)
GOOD = torch.tensor([True, False, True])


def test_kto() -> None:
    ratios = tensor(1.0, -2.0, 0.5)
    loss = preference.kto(ratios, GOOD, KL, beta=0.5, weights=(1.0, 1.5))
    inner = [0.5 * 0.7, 0.5 * 2.3, 0.5 * 0.2]
    terms = [w * (1 - sigmoid(x)) for w, x in zip((1.0, 1.5, 1.0), inner, strict=True)]
    assert close(loss.item(), sum(terms) / 3)
    slopes = [0.5 * sigmoid(x) * sigmoid(-x) / 3 for x in inner]
    assert close(gradients(loss, ratios)[0], [-slopes[0], 1.5 * slopes[1], -slopes[2]])


def test_kto_in_the_released_form_rewards_what_it_should_punish() -> None:
    ratios = tensor(1.0, -2.0, 0.5)
    loss = preference.kto(ratios, GOOD, KL, beta=0.5, form="align-anything")
    inner = [0.5 * 0.7, 0.5 * 2.3, 0.5 * 0.2]
    good, bad = 2 - sigmoid(inner[0]) - sigmoid(inner[2]), 1 - sigmoid(inner[1])
    assert close(loss.item(), (good - bad) / 3)
    paper = gradients(preference.kto(ratios, GOOD, KL, beta=0.5), ratios)[0]
    quirk = gradients(loss, ratios)[0]
    assert close(quirk, [paper[0], -paper[1], paper[2]])
    assert paper[1] > 0 > quirk[1]


PAIR_LOSSES: list[tuple[str, Callable[..., Tensor], int]] = [
    ("reward", preference.reward, 2),
    ("dpo", preference.dpo, 4),
    ("simpo", preference.simpo, 2),
    ("orpo", preference.orpo, 2),
]


@pytest.mark.parametrize(("name", "loss", "count"), PAIR_LOSSES, ids=[name for name, *_ in PAIR_LOSSES])
def test_gradients_are_those_of_finite_differences(
    name: str, loss: Callable[..., Tensor], count: int
) -> None:
    values = -0.1 - torch.rand(count, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 4
    assert torch.autograd.gradcheck(loss, [v.clone().requires_grad_() for v in values])


@pytest.mark.parametrize("form", ["paper", "align-anything"])
def test_gradients_of_kto_are_those_of_finite_differences(form: preference.KTOForm) -> None:
    ratios = tensor(1.0, -2.0, 0.5)
    assert torch.autograd.gradcheck(lambda r: preference.kto(r, GOOD, KL, 0.7, (2.0, 0.5), form), [ratios])


@given(st.lists(st.tuples(LOG_PROB, LOG_PROB), min_size=1, max_size=4), st.floats(-3, 3))
def test_preference_losses_fall_as_the_chosen_answer_rises(
    values: list[tuple[float, float]], shift: float
) -> None:
    chosen, rejected = (torch.tensor(side, dtype=torch.float64) for side in zip(*values, strict=True))
    higher = (chosen + 0.05).clamp(max=-1e-4)
    for loss in (preference.simpo, preference.orpo):
        assert loss(higher, rejected) <= loss(chosen, rejected)
    before = (chosen + shift, rejected - shift)
    assert preference.dpo(higher, rejected, *before) <= preference.dpo(chosen, rejected, *before)
