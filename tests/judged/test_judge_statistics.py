"""Numbers over samples: against SciPy, NumPy, and values worked out by hand."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from eval_anything.judged.statistics import (
    Drawing,
    bins,
    calibration_error,
    correlations,
    drawn,
    mean,
    slope,
)

X = np.array([1.0, 2, 3, 4, 5])
Y = np.array([2.0, 1, 4, 3, 5])


def test_correlations_by_hand() -> None:
    found = {name: function(X, Y) for name, function in correlations().items()}
    # One neighbouring pair after another exchanged: 8 of 10 pairs in order; squares of differences sum to 4.
    assert found == pytest.approx({"Pearson's r": 0.8, "Spearman's rho": 0.8, "Kendall's tau-b": 0.6})


def test_correlation_with_what_does_not_vary_is_no_number() -> None:
    for function in correlations().values():
        assert np.isnan(function(X, np.ones(5)))


def test_slope_is_least_squares() -> None:
    assert slope(X, Y) == pytest.approx(np.polyfit(X, Y, 1)[0])
    assert np.isnan(slope(np.ones(5), Y))


def test_calibration_by_hand() -> None:
    ratings, labels = np.array([1.0, 2, 9, 10]), np.array([2.0, 2, 5, 10])
    found = bins(ratings, labels, (0, 10), 2)
    assert [(b.low, b.high, b.n, b.rating, b.label) for b in found] == [
        (0, 5, 2, 1.5, 2),
        (5, 10, 2, 9.5, 7.5),
    ]
    assert calibration_error(ratings, labels, (0, 10), 2) == pytest.approx((2 * 0.5 + 2 * 2) / 4)
    assert calibration_error(ratings, labels, (0, 10), 10) == pytest.approx((1 + 0 + 4 + 0) / 4)


def test_intervals_of_a_correlation_are_those_of_the_theory() -> None:
    """Fisher's interval for a normal pair; the bootstrap's must be close to it with 400 samples."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=400)
    y = 0.6 * x + 0.8 * generator.normal(size=400)
    clusters = [str(i) for i in range(400)]
    found = drawn("r", correlations()["Pearson's r"], (x, y), clusters, Drawing(1000, 0))
    expected = scipy.stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)
    assert found == drawn("r", correlations()["Pearson's r"], (x, y), clusters, Drawing(1000, 0))


def test_rows_of_a_cluster_are_drawn_together() -> None:
    """Each of 60 rows five times over: what counts is 60, so the interval is that of the 60."""
    x = np.arange(60.0)
    y = x + 30 * np.sin(7 * x)
    alone = drawn("slope", slope, (x, y), [str(i) for i in range(60)], Drawing(2000, 0))
    five = [str(i) for i in range(60)] * 5
    together = drawn("slope", slope, (np.tile(x, 5), np.tile(y, 5)), five, Drawing(2000, 0))
    assert alone.low is not None and alone.high is not None
    width = alone.high - alone.low
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=0.05 * width)


def test_a_mean_has_the_interval_of_the_existing_bootstrap() -> None:
    values = [float(i % 2) for i in range(400)]
    found = mean("share", values, [str(i) for i in range(400)], Drawing(2000, 0))
    half = 1.96 * 0.5 / 20
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=0.01)


def test_one_cluster_has_no_interval_and_nothing_no_value() -> None:
    one = mean("share", [1.0, 0.0], ["a", "a"], Drawing(100, 0))
    assert (one.value, one.low) == (0.5, None)
    assert "2 independent samples" in one.reason
    assert drawn("slope", slope, (X, Y), ["a"] * 5, Drawing(100, 0)).low is None
    assert mean("share", [], [], Drawing(100, 0)).reason == "nothing to compare"


def test_without_scipy_it_is_said_what_to_install() -> None:
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "from eval_anything.judged.statistics import correlations\n"
        "from eval_anything.errors import MissingExtra\n"
        "try: correlations()\n"
        "except MissingExtra as fault: print(fault)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'eval-anything[stats]'" in done.stdout
