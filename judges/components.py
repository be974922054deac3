"""`components`: a judging model rates an answer by the components of its instruction, each worth some points.

MIA-Bench: "score of component 1: x/2, score of component 2: y/8, total score: z/10."
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Case, ComponentsRubric, Judge
from eval_anything.judges.asking import ask, missing
from eval_anything.judges.media import check_inputs
from eval_anything.judges.prompting import compose, contents
from eval_anything.suggest import unknown
from eval_anything.values import Modality, Score

_NUMBER = r"\d+(?:\.\d+)?"
_SHARE = rf"({_NUMBER})\s*/\s*({_NUMBER})"
_COMPONENT = re.compile(rf"component\s*(\d+)[\s*_`]*:[\s*_`]*{_SHARE}", re.IGNORECASE)
_TOTAL = re.compile(rf"total\s*score[\s*_`]*:[\s*_`]*{_SHARE}", re.IGNORECASE)
_TOLERANCE = 0.01


class Shares(msgspec.Struct, frozen=True):
    """What a reply says: shares from 0 to 1."""

    components: tuple[float | None, ...]
    """One for each component, in order; None where the reply says nothing of it."""
    total: float


Rule = Callable[[str, ComponentsRubric], tuple[Shares | None, str]]
"""Reads a reply: its shares, or None and why there are none."""


class ComponentsOptions(msgspec.Struct, frozen=True):
    attempts: int | None = None
    """How often a judge without a usable verdict is asked; the protocol's by default."""
    parse: str | None = None
    """The rule that reads its replies; the protocol's by default."""


def strict(reply: str, rubric: ComponentsRubric) -> tuple[Shares | None, str]:
    """Every component once, out of its own points, and a total out of all points that is their sum."""
    found: dict[int, set[tuple[float, float]]] = {}
    for number, points, of in _COMPONENT.findall(reply):
        found.setdefault(int(number), set()).add((float(points), float(of)))
    totals = {(float(points), float(of)) for points, of in _TOTAL.findall(reply)}
    for number, component in enumerate(rubric.components, 1):
        said = found.get(number, set())
        if len(said) != 1:
            return None, f"{'no' if not said else len(said)} score of component {number} in the judge's reply"
        ((points, of),) = said
        if of != component.weight or not 0 <= points <= of:
            return None, f"component {number}: {points:g}/{of:g} is not out of {component.weight:g}"
    if len(found) > len(rubric.components):
        return None, f"scores of {len(found)} components, of {len(rubric.components)}"
    if len(totals) != 1:
        return None, f"{'no' if not totals else len(totals)} total score in the judge's reply"
    ((total, of),) = totals
    points = [next(iter(found[number]))[0] for number in range(1, len(rubric.components) + 1)]
    whole = sum(component.weight for component in rubric.components)
    if of not in (whole, rubric.high) or not 0 <= total <= of or abs(sum(points) - total) > _TOLERANCE:
        return None, f"total {total:g}/{of:g} is not the sum of the components, {sum(points):g}/{whole:g}"
    shares = tuple(p / c.weight for p, c in zip(points, rubric.components, strict=True))
    return Shares(shares, total / whole), ""


RULES: Mapping[str, Rule] = {"strict": strict}
"""By the names that protocols use."""


class ComponentsJudge(Judge):
    """100 times the total share; the mean share of each kind of component is a component of the score."""

    name = "components"
    summary = "any model as judge: the answer is rated by each component of its instruction"
    Options = ComponentsOptions
    needs_model = True

    def check(self, outputs: tuple[Modality, ...]) -> None:
        assert self.endpoint is not None
        check_inputs(self.endpoint, outputs)

    async def score(self, case: Case) -> Score:
        assert self.endpoint is not None
        rubric = case.rubric
        if not isinstance(rubric, ComponentsRubric):
            raise UsageError(f"judge components: the instructions of task {case.task} have no components")
        name = self.options.parse or rubric.parse
        if name not in RULES:
            raise UsageError(f"judge components: {unknown('parse rule', name, RULES)}")
        prompt = compose(
            rubric.system, rubric.user, {**rubric.values, "components": listed(rubric)}, contents(case)
        )
        attempts = self.options.attempts or rubric.attempts
        asked = await ask(
            self.endpoint, case, prompt.messages, lambda reply: RULES[name](reply, rubric), attempts
        )
        if asked.verdict is None:
            score = missing(asked, self.label, prompt.changes, rubric.unparsed)
            kinds = {component.kind: None for component in rubric.components}
            return msgspec.structs.replace(score, components=kinds)
        return Score(
            value=100 * asked.verdict.total,
            state="scored",
            judge=self.label,
            components=by_kind(rubric, asked.verdict),
            usage=asked.usage,
            details={"replies": list(asked.replies), **prompt.changes},
        )


def listed(rubric: ComponentsRubric) -> str:
    """The components, numbered, with what each is worth."""
    return "\n".join(
        f"component {i} (worth {c.weight:g} points): {c.text}" for i, c in enumerate(rubric.components, 1)
    )


def by_kind(rubric: ComponentsRubric, shares: Shares) -> dict[str, float | None]:
    """The mean share of the components of each kind; an instruction may have several of one."""
    found: dict[str, list[float]] = {}
    for component, share in zip(rubric.components, shares.components, strict=False):
        if share is not None:
            found.setdefault(component.kind, []).append(share)
    kinds = dict.fromkeys(component.kind for component in rubric.components)
    return {kind: sum(found[kind]) / len(found[kind]) if kind in found else None for kind in kinds}
