"""Lessons are true: each right answer is, and answers to another scene are not."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_anything.agents.protocol import parse_slots
from eval_anything.errors import UsageError
from eval_anything.judges.agreement import heard_alike, seen_alike, stated
from eval_anything.synth.parse import mentions
from eval_anything.synth.question_families import FAMILIES
from eval_anything.synth.scene import MAX_OBJECTS, scene
from eval_anything_train.scenes import rows, sources, world
from eval_anything_train.scenes.lesson import GROUPS, Lesson, plain, right
from eval_anything_train.scenes.paper import paper
from eval_anything_train.scenes.settings import Course

SEEDS = st.integers(0, 10**9)


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_descriptions_name_all_there_is_and_nothing_else(seed: int) -> None:
    rng = Random(seed)
    drawn = scene(rng, video=rng.random() < 0.5)
    for question in (world.seen_whole, world.both_whole):
        for answer in question(drawn, rng).answers:
            assert seen_alike(stated(drawn).objects, mentions(answer).objects) == 1
    for question in (world.heard_whole, world.both_whole):
        for answer in question(drawn, rng).answers:
            said = mentions(answer).sounds
            assert [sound.timbre for sound in said] == [sound.timbre for sound in drawn.sounds]
            assert heard_alike(said, stated(drawn).sounds) == 1


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_short_answers_are_those_of_the_world_itself(seed: int) -> None:
    """Questions that the multiple-choice families pose as well have their answers there."""
    rng = Random(seed)
    drawn = scene(rng, video=rng.random() < 0.5)
    about = "video" if drawn.video else "image"
    for question, _ in world.QUESTIONS:
        lesson = question(drawn, rng)
        if lesson is None:
            continue
        for family in FAMILIES["audio" if lesson.needs == "heard" else about]:
            match = family.pattern.fullmatch(lesson.turns[-1])
            if match is not None:
                truth = family.truth(drawn, {k: v.lower() for k, v in match.groupdict().items()})
                said = {plain(answer).removeprefix("a ").removeprefix("an ") for answer in lesson.answers}
                truth = truth | {"no"} if "zero" in truth else truth
                assert any(one in text for one in truth for text in said), (lesson, truth)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_every_row_has_questions_that_its_media_answer(seed: int) -> None:
    row = rows.draw(Random(seed), Course())
    assert row.lessons
    for lesson in row.lessons:
        assert lesson.group in GROUPS and lesson.answers and all(lesson.answers)
        assert len(lesson.turns) % 2 == 1
        needed = {"seen": {"seen"}, "heard": {"heard"}, "both": {"seen", "heard"}, "nothing": set()}
        assert needed[lesson.needs] <= set(row.shown)
    assert rows.draw(Random(seed), Course()) == row


def test_a_course_of_lookups_has_no_descriptions() -> None:
    course = Course(objects=2, lookups=True)
    drawn = [rows.draw(Random(n), course) for n in range(50)]
    assert all(len(row.scene.objects) <= 2 for row in drawn)
    lessons = [lesson for row in drawn for lesson in row.lessons]
    assert not any(lesson.group == "descriptions" for lesson in lessons)
    assert {lesson.kind.split()[0] for lesson in lessons if lesson.group == "other"} == {"choice"}


@pytest.mark.parametrize("name", list(sources.REQUESTS))
def test_replies_in_the_text_protocol_are_read_as_they_are_meant(name: str) -> None:
    asked = sources.REQUESTS[name]
    for n in range(20):
        lesson = sources.agent(name, Random(n))
        slots = parse_slots(lesson.answers[0])
        assert slots.marked and not slots.notes
        assert set(slots.chosen) <= set(asked.output_modalities)
        assert set(asked.required_modalities) <= set(slots.chosen)
    assert "[[response]]" in sources.agent_system("selection")
    assert "[[response]]" not in sources.agent_system("image")


def test_feedback_is_followed() -> None:
    """The answer after a review says what the question's own right answers say."""
    for n in range(50):
        rng = Random(n)
        drawn = scene(rng)
        lesson = sources.again(drawn, "image", rng)
        question, first, asked = lesson.turns
        assert "answer my question again" in asked.lower() and first
        if mentions(lesson.answers[0]).objects and "picture" in question and "?" not in question:
            assert seen_alike(stated(drawn).objects, mentions(lesson.answers[0]).objects) == 1


def test_a_course_can_keep_to_clips_that_are_only_seen() -> None:
    course = Course(lookups=True, video=1.0, only="seen", questions=4, more={"mover": 1000})
    drawn = [rows.draw(Random(n), course) for n in range(50)]
    assert all(row.scene.video and row.shown == ("seen",) and len(row.lessons) == 4 for row in drawn)
    kinds = [lesson.kind for row in drawn for lesson in row.lessons]
    assert kinds.count("what moves") > 0.7 * len(kinds)


def test_some_questions_can_be_asked_more_often() -> None:
    drawn = scene(Random(0), video=True)
    usual, more = (
        [lesson.kind for lesson in world.ask(drawn, Random(0), ("seen",), 300, wanted)].count("way")
        for wanted in (None, {"way": 10})
    )
    assert 3 * usual < more < 300
    with pytest.raises(UsageError, match=r"unknown question 'ways'; did you mean 'way'\?"):
        world.weights({"ways": 2})


def test_right_is_word_for_word() -> None:
    lesson = Lesson(kind="x", group="other", turns=("?",), answers=("A red star.", "Red"), needs="seen")
    assert right(lesson, "a red  star") and right(lesson, "red.\n")
    assert not right(lesson, "a red star and more") and not right(lesson, "")
    assert lesson.answer(Random(0), terse=True) == "Red"


def test_the_paper_is_the_same_each_time_and_has_every_number_of_objects(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    one = paper(folder / "a", 4, "s")
    other = paper(folder / "b", 4, "s")
    assert [item.lesson for item in one] == [item.lesson for item in other]
    kinds = {item.lesson.kind for item in one}
    assert {"colour", "where", "as many", "all", "choice video", "AMG selection", "missing heard"} <= kinds
    counted = [item.objects for item in one if item.lesson.kind == "objects"]
    assert sorted(counted) == list(range(1, MAX_OBJECTS + 1))
    assert {p.suffix for p in (folder / "a").iterdir()} == {".png", ".wav", ".mp4"}
    assert [item.lesson for item in paper(folder / "a", 4, "t")] != [item.lesson for item in one]
