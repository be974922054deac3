import msgspec
import pytest

from eval_anything.values import Spent, Usage
from eval_anything.values.usage import dollars, merged, told


def test_sums_keep_what_is_not_known_apart_from_what_is() -> None:
    whole = Usage(requests=1, cost_usd=0.5, input_tokens=3) + Usage(requests=1, unpriced=1, input_tokens=4)
    assert whole == Usage(requests=2, cost_usd=0.5, unpriced=1, input_tokens=7)
    assert (Usage() + Usage(unpriced=1)).cost_usd is None
    assert (Usage(cost_usd=0.0) + Usage()).cost_usd == 0.0


def test_who_answered_is_counted_by_model_and_name() -> None:
    one, other = {"a/m": {"x": 1, "y": 2}}, {"a/m": {"x": 3}, "b/m": {"z": 1}}
    assert merged(one, other) == {"a/m": {"x": 4, "y": 2}, "b/m": {"z": 1}}
    assert merged(one, {}) == one
    assert (Usage(served=one) + Usage(served=other)).served == merged(one, other)


def test_it_is_read_back_as_it_was_written() -> None:
    usage = Usage(requests=1, served={"a/m": {"x": 1}}, cost_usd=0.0, output_audio_tokens=2)
    assert msgspec.json.decode(msgspec.json.encode(usage), type=Usage) == usage


def test_totals_know_whether_a_model_has_changed() -> None:
    spent = Spent()
    spent.add("t", "model", Usage(input_tokens=2, output_tokens=3, cost_usd=0.1, served={"a/m": {"x": 1}}))
    spent.add("t", "judge", Usage(input_tokens=1, unpriced=1, served={"a/m": {"y": 1}}))
    assert (spent.tokens, spent.cost_usd, spent.unpriced, spent.changed()) == (6, 0.1, 1, ())
    spent.add("t", "judge", Usage(served={"a/m": {"z": 1}}))
    assert spent.changed() == ("a/m (judge)",)


def test_the_dearest_sample_is_that_of_all_its_parts() -> None:
    spent = Spent()
    assert spent.dearest("t") is None
    for cost in (0.1, 0.3, 0.2):
        spent.add("t", "model", Usage(cost_usd=cost, input_tokens=10))
    spent.add("t", "judge", Usage(cost_usd=1.0))
    spent.add("other", "model", Usage(cost_usd=9.0))
    assert spent.dearest("t") == (1.3, 10)


@pytest.mark.parametrize(
    ("cost", "unpriced", "said"),
    [
        (None, 0, ""),
        (None, 2, "cost not known"),
        (0.0, 0, "$0.0000"),
        (1.254, 0, "$1.25"),
        (0.0012, 3, "at least $0.0012"),
    ],
)
def test_dollars(cost: float | None, unpriced: int, said: str) -> None:
    assert dollars(cost, unpriced) == said


def test_names_are_told_with_the_most_frequent_first() -> None:
    assert told({"b": 1, "a": 3}) == "a (3), b (1)"
    assert told({f"m{n}": 10 - n for n in range(9)}).endswith("m5 (5) and 3 more")
