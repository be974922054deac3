import pytest

from eval_anything.values import Price, Usage

TEXT = Price(input=2.5, input_cached=1.25, output=10.0)
SOUND = Price(input=2.5, input_audio=32.0, output=10.0, output_audio=64.0)


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (TEXT, Usage(input_tokens=1_000_000), 2.5),
        (TEXT, Usage(input_tokens=1_000_000, input_cached_tokens=400_000), 0.6 * 2.5 + 0.4 * 1.25),
        (TEXT, Usage(input_tokens=1, output_tokens=1_000_000, reasoning_tokens=300_000), 10.0000025),
        (Price(output=10.0, reasoning=3.0), Usage(output_tokens=10, reasoning_tokens=4), 6e-5 + 1.2e-5),
        (SOUND, Usage(input_tokens=1_000_000, input_audio_tokens=250_000, audio_s_in=9.0), 8.0 + 0.75 * 2.5),
        (SOUND, Usage(output_tokens=1000, output_audio_tokens=600, audio_s_out=3.0), 0.4e-2 + 0.6e-3 * 64),
        (Price(image_out=0.04, image_in=0.01), Usage(images_out=3, images_in=2), 0.14),
        (Price(video_s_out=0.1, audio_s_in=0.002), Usage(video_s_out=4.0, audio_s_in=30.0), 0.46),
        (Price(input=0, output=0), Usage(input_tokens=5, output_tokens=5), 0.0),
        (Price(image_out=0.04), Usage(requests=1), 0.0),
    ],
)
def test_what_an_answer_costs(price: Price, usage: Usage, cost: float) -> None:
    assert price.cost(usage) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("price", "usage"),
    [
        (TEXT, Usage(requests=1)),  # the server told no tokens
        (SOUND, Usage(input_tokens=100, audio_s_in=2.0)),  # nor which of them are sound
        (SOUND, Usage(output_tokens=100, audio_s_out=2.0)),
        (Price(output=2.5, output_image=30.0), Usage(output_tokens=1290, images_out=1)),
        (SOUND, Usage(input_tokens=100, input_audio_tokens=80, input_cached_tokens=50, audio_s_in=1.0)),
        (Price(input=1.25, up_to_input_tokens=200_000), Usage(input_tokens=200_001)),
    ],
)
def test_what_was_not_reported_is_no_zero(price: Price, usage: Usage) -> None:
    assert price.cost(usage) is None


def test_a_price_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="a price of nothing"):
        Price(source="https://example.org", date="2026-01-01")
