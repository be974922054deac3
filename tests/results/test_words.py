from __future__ import annotations

import pytest

from eval_anything.results.words import consumption, counted, number, percent
from eval_anything.values import Usage


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (5.478, "5.48"), (-0.001, "0.00"), (-0.5, "-0.50"), (10, "10.00")]
)
def test_number(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_percent() -> None:
    assert [percent(share) for share in (None, 0.0, 0.125, 1.0)] == ["-", "0.0%", "12.5%", "100.0%"]


def test_counted() -> None:
    assert [counted(n, "row") for n in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]


@pytest.mark.parametrize(
    ("usage", "shown"),
    [
        (Usage(), "0 requests; 0 tokens in, 0 out"),
        (Usage(requests=1, input_tokens=1000, output_tokens=2), "1 request; 1,000 tokens in, 2 out"),
        (Usage(input_tokens=9, input_cached_tokens=5), "0 requests; 9 tokens in (5 cached), 0 out"),
        (Usage(reasoning_tokens=7), "0 requests; 0 tokens in, 0 out (7 reasoning)"),
        (Usage(cost_usd=0.0), "0 requests; 0 tokens in, 0 out; $0.0000"),
        (Usage(cost_usd=0.0012), "0 requests; 0 tokens in, 0 out; $0.0012"),
        (Usage(cost_usd=12.345), "0 requests; 0 tokens in, 0 out; $12.35"),
        (Usage(images_out=2), "0 requests; 0 tokens in, 0 out; images 0 in, 2 out"),
        (Usage(audio_s_in=1.25), "0 requests; 0 tokens in, 0 out; audio 1.2 s in, 0.0 s out"),
        (Usage(video_s_out=4), "0 requests; 0 tokens in, 0 out; video 0.0 s in, 4.0 s out"),
    ],
)
def test_consumption(usage: Usage, shown: str) -> None:
    assert consumption(usage) == shown


def test_decimals() -> None:
    assert (number(0.1564, 3), number(-0.0001, 3), number(None, 3)) == ("0.156", "0.000", "-")
