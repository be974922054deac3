from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.judges.synergy.pairs import PAIRS

BY_NAME = {pair.name: pair for pair in PAIRS}


def test_media_are_read_image_first() -> None:
    assert {name: pair.media for name, pair in BY_NAME.items()} == {
        "text-image": ("image",),
        "text-audio": ("audio",),
        "image-audio": ("image", "audio"),
    }


@pytest.mark.parametrize(
    ("reading", "from_the_end"),
    [
        ("end", {"text-image", "text-audio", "image-audio"}),
        ("mean", set()),
        ("published", {"image-audio"}),
    ],
)
def test_readings(reading: str, from_the_end: set[str]) -> None:
    for name, pair in BY_NAME.items():
        expected = 1 / (1 + math.exp(-1.5 if name in from_the_end else 0.25))
        assert pair.read(1.5, -0.25, reading) == pytest.approx(expected)  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_score_is_from_0_to_1_however_large(value: float) -> None:
    score = PAIRS[0].read(value, 0.0, "end")
    assert 0 <= score <= 1
    assert score + PAIRS[0].read(-value, 0.0, "end") == pytest.approx(1)
