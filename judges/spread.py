"""One number of an offline judge in the form that a rubric's scores have.

An offline judge compares an answer with what is known; it rates no aspects, components or orders. So that its
scores fill the same tables, its one number stands for each of them, and the reference is as good as can be.
"""

from __future__ import annotations

from eval_anything.judge import AspectsRubric, ComponentsRubric, PairRubric, Rubric

Spread = tuple[float, dict[str, float | None]]
"""A score's value and its components."""


def spread(rubric: Rubric, share: float) -> Spread:
    """`share` (0..1) on the rubric's scale, and the components that its shape has."""
    value = round(rubric.low + (rubric.high - rubric.low) * share, 4)
    match rubric:
        case PairRubric():
            return value, _pair(rubric, value)
        case ComponentsRubric():
            return round(100 * share, 4), {c.kind: round(share, 4) for c in rubric.components}
        case AspectsRubric():
            return _aspects(rubric, value)
    return value, {}


def _pair(rubric: PairRubric, value: float) -> dict[str, float | None]:
    win = rubric.tie if value == rubric.high else 0.0
    one = {"response": value, "reference": rubric.high, "win": win}
    orders = [f"{side} first" for side in rubric.order] if rubric.swap else []
    each = {f"{name}, {order}": number for order in orders for name, number in one.items()}
    return {**each, "reference": rubric.high, "win": win}


def _aspects(rubric: AspectsRubric, value: float) -> Spread:
    components: dict[str, float | None] = {aspect.name: value for aspect in rubric.aspects}
    whole = [value] * len(rubric.aspects) + list(rubric.settled.values())
    return round(sum(whole) / len(whole), 4), components | rubric.settled
