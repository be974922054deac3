"""Reference values: Holm's adjustment, minimal detectable effects."""

import numpy as np
import pytest

from eval_anything.paired.power import detectable, holm, p_value, threshold


def test_holm_adjusts_step_by_step() -> None:
    # By hand: sorted .005, .01, .03, .04 times 4, 3, 2, 1, never decreasing.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([]) == []


def test_detectable_effects() -> None:
    # z(.975) + z(.8) = 1.959964 + 0.841621, with so many clusters that the root is 1
    assert detectable(1.959964, 1.0, 10**9) == pytest.approx(2.801585, abs=1e-5)
    assert detectable(0.5 * 1.644854, 0.5, 10**9, 0.9) == pytest.approx(0.5 * (1.644854 + 1.281552), abs=1e-5)
    tolerant = detectable(1.644854, 1.0, 10**9, tolerated=5.0)
    assert tolerant == pytest.approx(5 + 1.644854 + 0.841621, abs=1e-5)
    few = detectable(1.644854, 1.0, 20)
    assert few == pytest.approx(1.644854 * (1 + (1.644854 + 0.841621) ** 2 / 20) ** 0.5 + 0.841621, abs=1e-5)


def test_the_threshold_is_what_must_be_exceeded() -> None:
    null = np.arange(99.0)  # p <= .05 of 100: at most 4 draws at least as large
    assert threshold(null, 0.05) == pytest.approx(94.5)
    assert sum(null >= 95) + 1 == 5
    assert threshold(np.zeros(99), 0.05) is None, "nothing varies"
    assert threshold(np.repeat([-1.0, 1.0], 500), 0.05) is None, "one cluster: half of the draws"
    assert threshold(np.arange(9.0), 0.05) is None


def test_p_values_count_what_was_observed_itself() -> None:
    null = np.arange(99.0)
    assert p_value(null, 95.0) == pytest.approx(5 / 100)
    assert p_value(null, 1000.0) == pytest.approx(1 / 100)
    assert p_value(null, -1.0) == 1.0
    assert p_value(np.array([np.nan, 1.0]), 1.0) == 1.0, "a ratio to 0 says nothing"
    assert p_value(np.array([np.nan]), 1.0) is None
