"""Reference values: Holm's adjustment, minimal detectable effects."""

import pytest

from eval_anything.paired.power import detectable, holm


def test_holm_adjusts_step_by_step() -> None:
    # By hand: sorted .005, .01, .03, .04 times 4, 3, 2, 1, never decreasing.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([]) == []


def test_detectable_effects() -> None:
    # z(.975) + z(.8) = 1.959964 + 0.841621
    assert detectable(1.0, 0.05) == pytest.approx(2.801585, abs=1e-5)
    assert detectable(0.5, 0.05, 0.9, sides=1) == pytest.approx(0.5 * (1.644854 + 1.281552), abs=1e-5)
