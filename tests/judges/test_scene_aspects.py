"""Documents of text and synthetic pictures, aspect by aspect."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from eval_anything.judge import Aspect, AspectsRubric, Case
from eval_anything.judges.agreement import stated
from eval_anything.judges.scene import SceneJudge
from eval_anything.judges.scene_aspects import Document, rate
from eval_anything.models.base import NoOptions
from eval_anything.synth.parse import mentions, scene_from_prompt
from eval_anything.values import (
    Artifact,
    Image,
    Lineage,
    Message,
    Part,
    Reference,
    Response,
    Sample,
    Score,
    Text,
)

NAMES = ("text_quality", "perceptual_quality", "image_coherence", "text_image_coherence", "helpfulness")
RUBRIC = AspectsRubric(
    system="",
    user="",
    aspects=tuple(Aspect(name=name, system="", user="") for name in NAMES),
    media=True,
    low=0,
    high=5,
)
CIRCLE, STAR = "a small red circle in the top left", "a large blue star in the middle"


def rated(expected: str, said: str, *images: str) -> dict[str, float | None]:
    shown = [stated(scene_from_prompt(prompt, 0)) for prompt in images]
    document = Document(expected=mentions(expected), said=mentions(said), images=shown)
    value, components = rate(RUBRIC, document)
    assert value == pytest.approx(sum(v or 0 for v in components.values()) / len(components), abs=1e-3)
    return components


def test_what_was_wanted_is_rated_at_the_top() -> None:
    both = f"{CIRCLE} and {STAR}"
    assert set(rated(both, both, both).values()) == {5}
    assert set(rated(both, both, CIRCLE, STAR).values()) == {5}, "one by one as well"
    assert set(rated(both, both, CIRCLE, both).values()) == {5}, "a thing may come again"


def test_each_aspect_falls_by_its_own_fault() -> None:
    whole = rated(CIRCLE, CIRCLE, CIRCLE)
    assert rated(CIRCLE, "Hello.", CIRCLE) == {**whole, "text_quality": 0, "text_image_coherence": 0}
    silent = rated(CIRCLE, CIRCLE)
    assert silent == dict.fromkeys(NAMES[1:], 0) | {"text_quality": 5}
    other = rated(CIRCLE, CIRCLE, STAR)
    assert other == {
        "text_quality": 5,
        "perceptual_quality": 5,
        "image_coherence": 0,
        "text_image_coherence": 0,
        "helpfulness": 0,
    }
    extra = rated(CIRCLE, CIRCLE, CIRCLE, STAR)
    assert extra["image_coherence"] == extra["text_image_coherence"] == 2.5
    assert 0 < (extra["helpfulness"] or 0) < 5
    twice = rated(f"{CIRCLE} and {STAR}", "", CIRCLE, CIRCLE)
    assert 0 < (twice["helpfulness"] or 0) < 5, "the star is missing"


def test_an_aspect_of_another_name_is_rated_as_helpfulness() -> None:
    rubric = msgspec.structs.replace(RUBRIC, aspects=(Aspect(name="charm", system="", user=""),))
    document = Document(expected=mentions(CIRCLE), said=mentions(""), images=[mentions(CIRCLE)])
    assert rate(rubric, document) == (5, {"charm": 5})


def test_aspects_that_are_settled_stay_as_they_are() -> None:
    rubric = msgspec.structs.replace(RUBRIC, aspects=RUBRIC.aspects[:1], settled={"helpfulness": 1.0})
    document = Document(expected=mentions(CIRCLE), said=mentions(CIRCLE), images=[])
    assert rate(rubric, document) == (3, {"text_quality": 5, "helpfulness": 1})


def judged(parts: Sequence[Part], asked: str = CIRCLE, reference: str = "") -> Score:
    sample = Sample(
        id="1",
        messages=(Message("user", (Text(asked),)),),
        references=(Reference(text=reference),) if reference else (),
    )
    case = Case(sample=sample, response=Response(parts=tuple(parts)), rubric=RUBRIC)
    return asyncio.run(SceneJudge(NoOptions()).score(case))


def picture(prompt: str) -> Image:
    scene = msgspec.to_builtins(scene_from_prompt(prompt, 0))
    lineage = Lineage(source="tool", details={"scene": scene} if prompt else {})
    return Image(Artifact(sha256="ab" * 32, mime="image/png", bytes_size=3, lineage=lineage))


def test_the_judge_compares_with_the_reference_and_without_one_with_the_prompt() -> None:
    parts = (Text(STAR), picture(STAR))
    assert judged(parts, asked=CIRCLE).value == 2
    assert judged(parts, asked=CIRCLE, reference=f"In the end there is {STAR}.").value == 5


def test_what_is_not_known_has_no_score() -> None:
    unknown = judged((Text(CIRCLE), picture(CIRCLE), picture("")))
    assert (unknown.value, unknown.state, unknown.reason) == (None, "unparsed", "no known scene behind it")
    nameless = judged((Text(CIRCLE), picture(CIRCLE)), asked="Tell me a story.")
    assert (nameless.value, nameless.state) == (None, "unparsed")
    assert nameless.reason == "the prompt names nothing of the scene vocabulary"
