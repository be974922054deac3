"""The examination: a checkpoint answers the paper through the harness, and is right word for word or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import eval_anything
from eval_anything.values import Modality, Params
from eval_anything_train.scenes.lesson import GROUPS, right
from eval_anything_train.scenes.paper import Item, paper
from eval_anything_train.share import Share

_TOKENS = 160
"""Of an answer, at most."""
_DRAWS = 4
_SAMPLED = 100
"""Questions that are answered _DRAWS times at temperature 1."""
BLINDED: Mapping[str, tuple[Modality, ...]] = {
    "no sound": ("audio",),
    "no picture": ("image", "video"),
    "neither": ("audio", "image", "video"),
}
"""What is kept from the model when the cross-modal questions are asked again."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an examination."""

    seed: str
    per_kind: int
    groups: dict[str, Share]
    kinds: dict[str, Share]
    by_objects: dict[str, dict[int, Share]]
    """Of kinds about what is seen, by the number of objects."""
    blinded: dict[str, Share]
    """The cross-modal questions without one of the media."""
    sampled_right: Share
    """Answers drawn at temperature 1 to questions of all groups."""
    phrasings: float
    """Different answers among four draws, on average."""


def examine(model: str, folder: Path, per_kind: int, seed: str = "0", **options: Any) -> Report:
    """Ask `model` (a spec) the paper of `seed`. Answers are kept in `folder`, and not asked again.

    Raises what `eval_anything.respond` raises.
    """
    items = paper(folder / "media", per_kind, seed)
    answers = _Answers(model, folder, options)
    scored = answers.right(items, "answers")
    cross = [item for item in items if item.lesson.group == "cross-modal"]
    blinded = {
        name: Share.among(answers.right(cross, name.replace(" ", "-"), mask=mask).values())
        for name, mask in BLINDED.items()
    }
    replies = answers.drawn(_spread(items))
    return Report(
        seed=seed,
        per_kind=per_kind,
        groups=_by(items, scored, lambda item: item.lesson.group),
        kinds=_by(items, scored, lambda item: item.lesson.kind),
        by_objects=_by_objects(items, scored),
        blinded=blinded,
        sampled_right=Share.among(right(item.lesson, reply) for item, texts in replies for reply in texts),
        phrasings=sum(len(set(texts)) for _, texts in replies) / len(replies),
    )


class _Answers:
    """One model's answers, in folders of their own."""

    def __init__(self, model: str, folder: Path, options: Mapping[str, Any]) -> None:
        self.model, self.folder, self.options = model, folder, options

    def right(self, items: Sequence[Item], name: str, **options: Any) -> dict[str, bool]:
        """By id: whether the answer, the likeliest word each time, is right."""
        lessons = {item.sample.id: item.lesson for item in items}
        params = Params(temperature=0, max_tokens=_TOKENS)
        found = self._respond(items, name, params, options)
        return {one.sample.id: right(lessons[one.sample.id], one.response.text) for one in found}

    def drawn(self, items: Sequence[Item]) -> list[tuple[Item, list[str]]]:
        """Several answers to each at temperature 1."""
        texts: dict[str, list[str]] = {item.sample.id: [] for item in items}
        params = Params(temperature=1, max_tokens=_TOKENS)
        for one in self._respond(items, "drawn", params, {"repeats": _DRAWS, "seed": 0}):
            texts[one.sample.id].append(one.response.text)
        return [(item, texts[item.sample.id]) for item in items]

    def _respond(self, items: Sequence[Item], name: str, params: Params, options: dict[str, Any]) -> Any:
        return eval_anything.respond(
            self.model,
            [item.sample for item in items],
            out=self.folder / name,
            root=self.folder / "media",
            params=params,
            error_budget=0.0,  # an answer that failed is no wrong answer
            **{**self.options, **options},
        )


def _spread(items: Sequence[Item]) -> list[Item]:
    """As many of each kind, with media."""
    asked = [item for item in items if item.lesson.needs != "nothing"]
    step = max(1, len(asked) // _SAMPLED)
    return asked[::step]


def _by(items: Sequence[Item], scored: Mapping[str, bool], key: Callable[[Item], str]) -> dict[str, Share]:
    verdicts: dict[str, list[bool]] = {}
    for item in items:
        verdicts.setdefault(key(item), []).append(scored[item.sample.id])
    return {name: Share.among(found) for name, found in verdicts.items()}


def _by_objects(items: Sequence[Item], scored: Mapping[str, bool]) -> dict[str, dict[int, Share]]:
    found: dict[str, dict[int, list[bool]]] = {}
    for item in items:
        if item.lesson.needs in ("seen", "both") and item.lesson.group != "other":
            kinds = found.setdefault(item.lesson.kind, {})
            kinds.setdefault(item.objects, []).append(scored[item.sample.id])
    return {
        kind: {n: Share.among(held) for n, held in sorted(counts.items())}
        for kind, counts in found.items()
        if set(counts) == {1, 2, 3, 4}
    }


def table(report: Report) -> str:
    """The report in Markdown."""
    lines = ["| questions | right, word for word |", "|---|---|"]
    lines += [f"| {name} | {report.groups[name]} |" for name in GROUPS if name in report.groups]
    lines += [f"| cross-modal, {name} | {share} |" for name, share in report.blinded.items()]
    lines += ["", "| kind | right |", "|---|---|"]
    lines += [f"| {kind} | {share} |" for kind, share in report.kinds.items()]
    lines += ["", "| by number of objects | 1 | 2 | 3 | 4 |", "|---|---|---|---|---|"]
    for kind, counts in report.by_objects.items():
        lines.append(f"| {kind} | {' | '.join(f'{100 * s.share:.0f}' for s in counts.values())} |")
    lines += [
        "",
        f"Drawn at temperature 1: {report.sampled_right} right, {report.phrasings:.2f} different answers of "
        f"{_DRAWS} to a question.",
    ]
    return "\n".join(lines)
