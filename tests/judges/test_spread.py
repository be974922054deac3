"""An offline judge's number fills the tables of every shape."""

import pytest

from eval_anything.judge import Aspect, AspectsRubric, Component, ComponentsRubric, PairRubric, Rubric
from eval_anything.judges.spread import spread

TEXT = {"system": "", "user": "{response}"}


def test_a_plain_rubric_has_no_components() -> None:
    assert spread(Rubric(**TEXT, low=1, high=10), 0.5) == (5.5, {})


@pytest.mark.parametrize(("share", "value", "win"), [(0.5, 5.5, 0.0), (1.0, 10, 0.5)])
def test_the_reference_of_a_pair_is_as_good_as_can_be(share: float, value: float, win: float) -> None:
    pair = PairRubric(**TEXT, baseline="b")
    assert spread(pair, share) == (value, {"reference": 10, "win": win})
    both = spread(PairRubric(**TEXT, baseline="b", swap=True), share)[1]
    assert both["response, reference first"] == both["response, response first"] == value
    assert both["win, response first"] == both["win"] == win
    assert len(both) == 8


def test_components_and_aspects_all_get_the_one_number() -> None:
    parts = (Component("a", 2, "describe"), Component("b", 8, "math"))
    assert spread(ComponentsRubric(**TEXT, components=parts), 0.25) == (25, {"describe": 0.25, "math": 0.25})
    aspects = tuple(Aspect(name=name, **TEXT) for name in ("detail", "context"))
    rubric = AspectsRubric(**TEXT, aspects=aspects, low=0, high=5)
    assert spread(rubric, 0.4) == (2, {"detail": 2, "context": 2})
    settled = AspectsRubric(**TEXT, aspects=rubric.aspects, settled={"text": 0}, low=0, high=5)
    assert spread(settled, 0.6) == (2, {"detail": 3, "context": 3, "text": 0})
