from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest

from eval_anything.judge import Case, Rubric
from eval_anything.judges.scene import SceneJudge, scene_behind, together
from eval_anything.models.base import NoOptions
from eval_anything.synth.describe import heard, objects_phrase, seen, sounds_phrase
from eval_anything.synth.parse import mentions, scene_from_prompt
from eval_anything.synth.questions import ask, choices_text
from eval_anything.synth.scene import Object, Scene, Sound, draw_objects, draw_sounds, scene
from eval_anything.values import (
    Artifact,
    Audio,
    Image,
    Lineage,
    MediaPart,
    Message,
    Response,
    Sample,
    Score,
    Text,
    Video,
)

TEXT = Rubric(system="rate the text", user="{response}", low=1, high=10)
IMAGE = Rubric(system="rate the image", user="{response}", low=0, high=10, media=True)
PAIRS = Rubric(system="", user="{response}", low=0, high=1)
CIRCLE = Object("circle", "red", "large", 0)
STAR = Object("star", "blue", "small", 4)
PROMPT = "Draw a large red circle in the top left and a small blue star in the middle."


def made(kind: type[MediaPart], of: Any) -> MediaPart:
    details = {"scene": msgspec.to_builtins(of)} if of is not None else {}
    lineage = Lineage(source="tool", name="generate", details=details)
    mime = {Image: "image/png", Audio: "audio/wav", Video: "video/mp4"}[kind]
    return kind(Artifact(sha256="0" * 64, mime=mime, bytes_size=3, lineage=lineage))


def judged(prompt: str, rubric: Rubric, *parts: Any, metadata: Any = None) -> Score:
    sample = Sample(id="s", messages=(Message("user", (Text(prompt),)),), metadata=metadata or {})
    case = Case(sample=sample, response=Response(parts=parts), rubric=rubric)
    return asyncio.run(SceneJudge(NoOptions()).score(case))


def image_score(*objects: Object, prompt: str = PROMPT) -> Score:
    return judged(prompt, IMAGE, made(Image, Scene(objects, ())))


def test_the_judge_names_itself_offline() -> None:
    assert "offline" in SceneJudge.summary and not SceneJudge.needs_model
    assert SceneJudge(NoOptions()).label == "scene"


@pytest.mark.parametrize(
    ("objects", "value"),
    [
        ((CIRCLE, STAR), 10.0),
        ((), 0.0),
        ((Object("ring", "white", "small", 8),), 0.0),
        ((CIRCLE,), 2 + 1.5 + 0 + 1),
        ((CIRCLE, STAR, Object("ring", "white", "small", 8)), 4 + 3 + 2 + 2 / 3),
        ((msgspec.structs.replace(CIRCLE, colour="green"), STAR), 4 + 2.5 + 2 + 1),
        ((msgspec.structs.replace(CIRCLE, cell=8), STAR), 4 + 2.5 + 0 + 1),
    ],
)
def test_an_image_is_rated_by_the_four_parts(objects: tuple[Object, ...], value: float) -> None:
    score = image_score(*objects)
    assert (score.value, score.state) == (pytest.approx(value, abs=1e-3), "scored")
    if value:
        assert sum(score.details.values()) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("seed", range(40))
def test_what_a_prompt_asks_for_gets_the_full_score_and_another_scene_less(seed: int) -> None:
    rng = Random(seed)
    asked = Scene(draw_objects(rng, rng.randint(1, 4)), ())
    other = Scene(draw_objects(rng, rng.randint(1, 4)), ())
    prompt = f"Make an image that shows {objects_phrase(asked)}."
    right = judged(prompt, IMAGE, made(Image, scene_from_prompt(prompt, seed)))
    wrong = judged(prompt, IMAGE, made(Image, other))
    assert right.value == 10
    assert wrong.value is not None and wrong.value < 10


@pytest.mark.parametrize("kind", [None, {"objects": "many"}, 7, {"objects": [], "sounds": [], "x": 1}])
def test_a_medium_without_a_known_scene_has_no_score(kind: Any) -> None:
    part = made(Image, kind)
    assert scene_behind(part) is None
    score = judged(PROMPT, IMAGE, part)
    assert (score.value, score.state, score.reason) == (None, "unparsed", "no known scene behind it")
    plain = Image(Artifact(sha256="0" * 64, mime="image/png", bytes_size=3))
    assert judged(PROMPT, IMAGE, plain).value is None


def test_a_prompt_outside_of_the_vocabulary_has_no_score() -> None:
    for rubric, part in ((IMAGE, made(Image, Scene((CIRCLE,), ()))), (TEXT, Text("a red circle"))):
        score = judged("Draw a nice sunset", rubric, part)
        assert (score.value, score.state) == (None, "unparsed")
        assert score.reason == "the prompt names nothing of the scene vocabulary"


def test_text_is_rated_by_what_it_names_of_the_prompt() -> None:
    prompt = "Write about a red circle and two beeps."
    answers = [
        "There is nothing to say.",
        "I hear a beep.",
        "I hear two beeps.",
        "Two beeps, and there is a green circle.",
        "A red circle. Two beeps.",
    ]
    values = [judged(prompt, TEXT, Text(answer)).value for answer in answers]
    assert values == pytest.approx([1, 4, 7, 8.5, 10])
    assert judged(prompt, TEXT).value == 1


def questions(of: Scene, about: Any, n: int, seed: int) -> list[dict[str, str]]:
    rng = Random(seed)
    found = [ask(of, rng, about=about) for _ in range(n)]
    return [
        {
            "question_id": str(i),
            "question": question.text,
            "choice": choices_text(question.choices),
            "answer": question.answer,
        }
        for i, question in enumerate(found)
    ]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_questions_are_answered_for_the_scene_that_was_made(kind: str) -> None:
    rights = []
    for seed in range(20):
        rng = Random(seed)
        if kind == "audio":
            one, other = (Scene((), draw_sounds(rng, 4)) for _ in range(2))
        else:
            one, other = (Scene(draw_objects(rng, 3, video=True), (), True) for _ in range(2))
        metadata = {"questions": questions(one, kind, 4, seed), "weighting": "question"}
        part = Audio if kind == "audio" else Video
        score = judged("p", IMAGE, made(part, one), metadata=metadata)
        assert (score.value, score.weight, score.details["unanswered"]) == (10, 4, 0)
        rights.append(judged("p", IMAGE, made(part, other), metadata=metadata).value)
    assert sum(rights) / len(rights) < 7


def test_questions_that_are_not_about_scenes_are_left_out() -> None:
    one = Scene((), (Sound("bell"), Sound("beep")))
    odd = {"question_id": "x", "question": "Who sings?", "choice": "A. a\nB. b\nC. c\nD. d", "answer": "A"}
    both = {"questions": [*questions(one, "audio", 1, 0), odd], "weighting": "question"}
    score = judged("p", IMAGE, made(Audio, one), metadata=both)
    assert (score.value, score.weight, score.details["unanswered"]) == (10, 1, 1)
    score = judged("p", IMAGE, made(Audio, one), metadata={"questions": [odd], "weighting": "question"})
    assert (score.value, score.state, score.weight) == (None, "unparsed", 1)
    score = judged("p", IMAGE, made(Audio, None), metadata=both)
    assert (score.reason, score.weight) == ("no known scene behind it", 2)


def test_synergy_is_whole_where_all_three_are_of_one_scene() -> None:
    for seed in range(20):
        rng = Random(seed)
        one = scene(rng)
        prompt = f"Imagine a place with {objects_phrase(one)}, where one hears {sounds_phrase(one.sounds)}."
        text = Text(f"{seen(one, rng)} {heard(one, rng)}")
        score = judged(prompt, PAIRS, text, made(Image, one), made(Audio, one))
        assert score.components == pytest.approx({"text-image": 1, "text-audio": 1, "image-audio": 1})
        assert score.value == pytest.approx(1)
        other = scene(Random(seed + 1000))
        mixed = judged(prompt, PAIRS, text, made(Image, one), made(Audio, other))
        assert mixed.components["text-image"] == pytest.approx(1)
        assert mixed.value is not None and mixed.value < 1


def test_a_pair_that_lacks_one_of_the_two_has_no_score_of_its_own() -> None:
    one = Scene((CIRCLE,), (Sound("bell"),))
    score = judged("a red circle and a bell", PAIRS, Text("A red circle; a bell."), made(Image, one))
    assert score.components == {"text-image": 1.0, "text-audio": None, "image-audio": None}
    assert (score.value, score.details["lacking"]) == (1.0, ["audio"])
    score = judged("a red circle", PAIRS, Text("A red circle."), made(Image, None))
    assert (score.value, score.state) == (None, "unparsed")
    assert score.reason == "no two to compare: no image, audio with a known scene in the answer"
    assert set(score.components.values()) == {None}


def test_image_and_audio_go_together_by_the_instruction_and_without_one_by_number() -> None:
    asked = mentions("a large red circle in the top left and two beeps")
    image, beeps = mentions("a large red circle in the top left"), mentions("two beeps")
    one_beep, nothing = mentions("a beep"), mentions("")
    values = [together(asked, image, heard) for heard in (nothing, one_beep, beeps)]
    assert values == sorted(values) and values[0] == 0 and values[-1] == 1
    assert together(nothing, image, one_beep) == 1
    assert together(nothing, image, beeps) == 0.5
    assert together(nothing, nothing, nothing) == 0
