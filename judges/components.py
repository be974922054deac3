"""`components`: a judging model rates an answer by the components of its instruction, each worth some points.

MIA-Bench: "score of component 1: x/2, score of component 2: y/8, total score: z/10."
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Case, ComponentsRubric
from eval_anything.judges.asking import Attempts, ask, missing
from eval_anything.judges.media import check_inputs
from eval_anything.judges.prompting import compose, contents
from eval_anything.judges.rules import RuledJudge
from eval_anything.values import Modality, Score

_SHARE = r"[\s*_`]*:[\s*_`]*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)"
_COMPONENT = re.compile(rf"component\s*(\d+)(?:\s*\([^()]*\))?{_SHARE}", re.IGNORECASE)
_TOTAL = re.compile(rf"total(?:\s*score)?{_SHARE}", re.IGNORECASE)
_TOLERANCE = 0.005
"""By how much a stated total may differ from the sum of the components, both as shares: it is rounded."""


class Verdict(msgspec.Struct, frozen=True):
    """What a reply says. Shares from 0 to 1, unless the published rule let others through."""

    total: float
    kinds: dict[str, float]
    """By kind of component, for the kinds that the reply says something of."""


Rule = Callable[[str, ComponentsRubric], tuple[Verdict | None, str]]
"""Reads a reply: its verdict, or None and why there is none."""


class ComponentsOptions(msgspec.Struct, frozen=True):
    attempts: Attempts = None
    """How often a judge without a usable verdict is asked; the protocol's by default."""
    parse: str | None = None
    """The rule that reads its replies; the protocol's by default."""


def strict(reply: str, rubric: ComponentsRubric) -> tuple[Verdict | None, str]:
    """One score for every component, out of its own points, and one total that is their sum.

    The total is the points that the components got per the points that there are; so is that of a kind with
    several components.
    """
    said: dict[int, set[tuple[float, float]]] = {}
    for number, points, of in _COMPONENT.findall(reply):
        said.setdefault(int(number), set()).add((float(points), float(of)))
    got: list[float] = []
    for number, component in enumerate(rubric.components, 1):
        scores = said.pop(number, set())
        if len(scores) != 1:
            return None, f"{len(scores) or 'no'} scores of component {number} in the judge's reply"
        ((points, of),) = scores
        if of != component.weight or points > of:
            return None, f"component {number}: {points:g}/{of:g} is not out of {component.weight:g}"
        got.append(points)
    if said:
        return None, f"a score of component {min(said)}, of {len(rubric.components)}"
    share = sum(got) / sum(component.weight for component in rubric.components)
    totals = {(float(points), float(of)) for points, of in _TOTAL.findall(reply)}
    if len(totals) != 1:
        return None, f"{len(totals) or 'no'} total scores in the judge's reply"
    ((total, of),) = totals
    if not of or abs(total / of - share) > _TOLERANCE:
        return None, f"the total {total:g}/{of:g} is not the sum of the components"
    return Verdict(share, _by_kind(rubric, got)), ""


def published(reply: str, rubric: ComponentsRubric) -> tuple[Verdict | None, str]:
    """MIA-Bench's own rule: what precedes the first full stop, cut at commas; in each piece `a/b` in whole
    numbers follows the colon and one more character. The last piece is the total, whatever it says; of two
    components of one kind the later counts; nothing is compared with the points."""
    pieces = reply.strip().split(".")[0].split(",")
    if not 2 <= len(pieces) <= len(rubric.components) + 1:
        return None, f"the first sentence of the judge's reply has {len(pieces) - 1} commas"
    try:
        *shares, total = (_published_share(piece) for piece in pieces)
    except (ValueError, IndexError, ArithmeticError):
        return None, "the first sentence of the judge's reply is not a list of shares"
    kinds = {component.kind: share for component, share in zip(rubric.components, shares, strict=False)}
    return Verdict(total, kinds), ""


def _published_share(piece: str) -> float:
    points, of = piece.split(":")[1][1:].split("/")[:2]
    return int(points) / int(of)


def _by_kind(rubric: ComponentsRubric, got: list[float]) -> dict[str, float]:
    kinds: dict[str, tuple[float, float]] = {}
    for component, points in zip(rubric.components, got, strict=True):
        before, worth = kinds.get(component.kind, (0.0, 0.0))
        kinds[component.kind] = (before + points, worth + component.weight)
    return {kind: points / worth for kind, (points, worth) in kinds.items()}


RULES: Mapping[str, Rule] = {"strict": strict, "published": published}
"""By the names that protocols use."""


class ComponentsJudge(RuledJudge[Rule]):
    """100 times the total share; the share of each kind of component is a component of the score."""

    name = "components"
    summary = "any model as judge: the answer is rated by each component of its instruction"
    Options = ComponentsOptions
    needs_model = True
    rules = RULES

    def check(self, outputs: tuple[Modality, ...]) -> None:
        assert self.endpoint is not None
        check_inputs(self.endpoint, outputs)

    async def score(self, case: Case) -> Score:
        assert self.endpoint is not None
        rubric = case.rubric
        if not isinstance(rubric, ComponentsRubric):
            raise UsageError(f"judge components: the instructions of task {case.task} have no components")
        rule = self.rule(rubric)
        prompt = compose(
            rubric.system, rubric.user, {**rubric.values, "components": listed(rubric)}, contents(case)
        )
        attempts = self.options.attempts or rubric.attempts
        asked = await ask(self.endpoint, case, prompt.messages, lambda reply: rule(reply, rubric), attempts)
        if asked.verdict is None:
            score = missing(asked, self.label, prompt.changes, rubric.unparsed)
            kinds = {component.kind: None for component in rubric.components}
            return msgspec.structs.replace(score, components=kinds)
        return Score(
            value=100 * asked.verdict.total,
            state="scored",
            judge=self.label,
            components=dict(asked.verdict.kinds),
            usage=asked.usage,
            details={"replies": list(asked.replies), **prompt.changes},
        )


def listed(rubric: ComponentsRubric) -> str:
    """The components, numbered, with what each is worth."""
    return "\n".join(
        f"component {i} (worth {c.weight:g} points): {c.text}" for i, c in enumerate(rubric.components, 1)
    )
