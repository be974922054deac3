"""Which verdicts are on the same question."""

from typing import Any

from eval_anything.paired.match import match
from eval_anything.stats.cell import Verdict


def verdict(
    id: str, value: float | None = 1.0, state: Any = "scored", repeat: int = 0, **more: Any
) -> Verdict:
    return Verdict(id=id, repeat=repeat, group="", cluster="", state=state, value=value, **more)


def test_the_same_sample_and_repeat_in_both_whatever_their_order() -> None:
    before = (verdict("b", 2), verdict("a", 1), verdict("a", 5, repeat=1))
    after = (verdict("a", 3), verdict("b", 4))
    found = match(before, after)
    assert [(v.id, v.value) for v in found.before] == [("a", 1), ("b", 2)]
    assert [(v.id, v.value) for v in found.after] == [("a", 3), ("b", 4)]
    assert (found.only_before, found.only_after) == ((("a", 1),), ())


def test_what_has_no_partner_or_no_number_is_named() -> None:
    before = (verdict("a"), verdict("b", None, "unparsed"), verdict("c"), verdict("d", None, None))
    after = (verdict("b"), verdict("c", None, "judge_error"), verdict("d"), verdict("e"))
    found = match(before, after)
    assert found.before == found.after == ()
    assert (found.only_before, found.only_after) == ((("a", 0),), (("e", 0),))
    assert found.unscored == (("b", 0), ("c", 0), ("d", 0))


def test_a_protocols_stand_in_is_a_number_and_an_aspect_without_the_others_too() -> None:
    stand_in = verdict("a", -1.0, "unparsed")
    aspects = verdict("b", None, "unparsed", components={"detail": 3.0, "context": None})
    found = match((stand_in, aspects), (verdict("a"), verdict("b")))
    assert len(found.before) == 2
