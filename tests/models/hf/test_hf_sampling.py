from __future__ import annotations

import pytest
from hf_lab import request

from eval_anything.models.hf.sampling import GumbelSampler, row_seed
from eval_anything.values import Origin, Request

SCORES = [2.0, 1.0, 0.5, 0.0, -1.0, -float("inf")]
ROWS = 20_000


def _frequencies(temperature: float, top_k: int | None = None, top_p: float | None = None) -> list[float]:
    import torch

    sampler = GumbelSampler(list(range(ROWS)), temperature, top_k, top_p, "cpu")
    scores = torch.tensor(SCORES).repeat(ROWS, 1)
    drawn = sampler(None, scores).argmax(dim=-1)
    return (drawn.bincount(minlength=len(SCORES)) / ROWS).tolist()


def _softmax(temperature: float, kept: int) -> list[float]:
    import torch

    scores = torch.tensor(SCORES)
    scores[kept:] = -torch.inf
    return (scores / temperature).softmax(dim=0).tolist()


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "kept"),
    [
        (1.0, None, None, 6),
        (0.5, None, None, 6),
        (2.0, None, None, 6),
        (1.0, 3, None, 3),
        (1.0, 100, 1.0, 6),
        (1.0, None, 0.6, 2),  # 0.56, then 0.76
        (1.0, None, 0.001, 1),
        (1.0, 2, 0.99, 2),
    ],
)
def test_draws_follow_the_softmax(
    temperature: float, top_k: int | None, top_p: float | None, kept: int
) -> None:
    expected = _softmax(temperature, kept)
    # Five standard errors of a frequency; a token that is cut off must never be drawn.
    for drawn, p in zip(_frequencies(temperature, top_k, top_p), expected, strict=True):
        assert abs(drawn - p) <= 5 * (p * (1 - p) / ROWS) ** 0.5


def test_successive_draws_of_a_row_are_independent() -> None:
    import torch

    sampler = GumbelSampler([7], 1.0, None, None, "cpu")
    drawn = torch.cat([sampler(None, torch.zeros(1, 2)).argmax(dim=-1) for _ in range(4000)]).float()
    assert abs(float(drawn.mean()) - 0.5) < 0.04
    assert abs(float((drawn[1:] == drawn[:-1]).float().mean()) - 0.5) < 0.04


def test_rows_do_not_see_each_other() -> None:
    import torch

    scores = torch.randn(3, 50)
    together = GumbelSampler([1, 2, 3], 1.0, 10, 0.9, "cpu")(None, scores)
    for row, seed in enumerate([1, 2, 3]):
        alone = GumbelSampler([seed], 1.0, 10, 0.9, "cpu")(None, scores[row : row + 1])
        assert torch.equal(alone[0], together[row])


def test_seed_depends_on_all_that_tells_draws_apart() -> None:
    base = request("a", sample="1")
    other = [
        request("a", sample="2"),
        request("a", sample="1", draw=1),
        request("a", sample="1", seed=5),
        Request(messages=base.messages, params=base.params, origin=Origin("u", "1")),
        Request(messages=base.messages, params=base.params, origin=Origin("t", "1", 1)),
        Request(messages=base.messages, params=base.params),
        Request(messages=request("b").messages, params=base.params),
    ]
    seeds = [row_seed(r) for r in [base, *other]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert row_seed(request("a", sample="1")) == row_seed(base)
