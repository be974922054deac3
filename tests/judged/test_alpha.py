"""Krippendorff's alpha against the numbers that he published.

"Computing Krippendorff's Alpha-Reliability", 2011: sections A (two judges, two values), C (four judges, five
values, gaps).
"""

import numpy as np
import pytest

from eval_anything.judged.alpha import alpha

_ = np.nan
BINARY = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], dtype=float).T
GAPS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
).T


def test_published_values() -> None:
    assert alpha(BINARY, "nominal") == pytest.approx(0.095, abs=5e-4)
    assert alpha(GAPS, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert alpha(GAPS, "ordinal") == pytest.approx(0.815, abs=5e-4)


def test_order_matters_to_the_ordinal_one_alone() -> None:
    renamed = np.where(GAPS == 1, 9, GAPS)
    assert alpha(renamed, "nominal") == pytest.approx(alpha(GAPS, "nominal"))
    assert alpha(renamed, "ordinal") < alpha(GAPS, "ordinal") - 0.1
    assert alpha(np.exp(GAPS), "ordinal") == pytest.approx(alpha(GAPS, "ordinal"))


def test_full_agreement_is_one_and_chance_is_none() -> None:
    same = np.array([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]])
    assert alpha(same, "nominal") == alpha(same, "ordinal") == 1
    random = np.random.default_rng(0).integers(1, 6, (20_000, 3)).astype(float)
    assert alpha(random, "ordinal") == pytest.approx(0, abs=0.02)


def test_without_variety_or_pairs_there_is_no_number() -> None:
    assert np.isnan(alpha(np.ones((4, 2)), "ordinal"))
    assert np.isnan(alpha(np.array([[1.0, _], [_, 2.0]]), "nominal"))


def test_an_interval_is_about_its_number_and_covers_the_truth() -> None:
    """Units drawn twice must not be taken for agreement: bootstrap intervals lay beside their own numbers."""
    from eval_anything.judged.measure import _alpha

    rng = np.random.default_rng(1)

    def rated(n: int) -> np.ndarray:
        truth = rng.normal(5.5, 2, n)
        return np.clip(np.rint(truth[:, None] + rng.normal(0, 1, (n, 2))), 1, 10)

    true = alpha(rated(200_000), "ordinal")
    covered = 0
    for _ in range(200):
        table = rated(80)
        found = _alpha("a", table, [str(i) for i in range(80)], "ordinal")
        assert found.value == pytest.approx(alpha(table, "ordinal"))
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low <= found.value <= found.high
        covered += found.low <= true <= found.high
    assert 180 <= covered <= 200


def test_nominal_agreement_of_ratings_that_are_no_whole_numbers_is_not_told() -> None:
    from eval_anything.judged.measure import _alpha

    table = np.random.default_rng(0).normal(size=(30, 2))
    found = _alpha("a", table, [str(i) for i in range(30)], "nominal")
    assert (found.value, found.reason) == (None, "ratings are no whole numbers")
