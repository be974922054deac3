"""The aspects of a document of text and synthetic pictures, by the scenes behind its pictures.

What is compared is what the texts name and the pictures show, in the scene vocabulary. How well a text reads
or a picture is drawn is not: synthetic pictures are all drawn alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from eval_anything.judge import AspectsRubric
from eval_anything.judges.agreement import coverage, match, seen_alike
from eval_anything.judges.spread import Spread
from eval_anything.synth.parse import Mentions, ObjectMention


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what is known of what it should be."""

    expected: Mentions
    """What it should tell and show: at least one object."""
    said: Mentions
    """What its text tells."""
    images: Sequence[Mentions]
    """What each of its pictures shows."""


def rate(rubric: AspectsRubric, document: Document) -> Spread:
    """Every aspect on the rubric's scale, and their mean; an aspect that is not known here is rated as
    helpfulness."""
    span = rubric.high - rubric.low
    components: dict[str, float | None] = {
        aspect.name: round(rubric.low + span * _ASPECTS.get(aspect.name, _helpfulness)(document), 4)
        for aspect in rubric.aspects
    }
    components |= rubric.settled
    values = [value for value in components.values() if value is not None]
    return round(sum(values) / len(values), 4), components


def _told(document: Document) -> float:
    return coverage(document.expected, document.said)


def _drawn(document: Document) -> float:
    return float(bool(document.images))


def _coherence(document: Document) -> float:
    """The share of all that is shown that belongs to the document, by shape and colour."""
    wanted = {(obj.shape, obj.colour) for obj in document.expected.objects}
    shown = [(obj.shape, obj.colour) for image in document.images for obj in image.objects]
    return sum(look in wanted for look in shown) / len(shown) if shown else 0.0


def _together(document: Document) -> float:
    """How much of what each picture shows the text tells."""
    told = [coverage(image, document.said) if image else 0.0 for image in document.images]
    return sum(told) / len(told) if told else 0.0


def _helpfulness(document: Document) -> float:
    """How well all pictures together show what was to be shown."""
    shown = [obj for image in document.images for obj in image.objects]
    return seen_alike(document.expected.objects, _once(document.expected.objects, shown))


def _once(expected: Sequence[ObjectMention], shown: Sequence[ObjectMention]) -> list[ObjectMention]:
    """`shown` without what is there again: a document may show one thing in many pictures."""
    used = set(match(expected, shown).partner.values())
    seen = {(shown[i].shape, shown[i].colour) for i in used}
    return [obj for i, obj in enumerate(shown) if i in used or (obj.shape, obj.colour) not in seen]


_ASPECTS: Mapping[str, Callable[[Document], float]] = {
    "text_quality": _told,
    "perceptual_quality": _drawn,
    "image_coherence": _coherence,
    "text_image_coherence": _together,
    "helpfulness": _helpfulness,
}
"""InterleavedBench's."""
