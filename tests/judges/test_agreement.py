from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.judges.agreement import common, coverage, details, heard_alike, match, seen_alike, stated
from eval_anything.synth.describe import heard, seen
from eval_anything.synth.parse import Mentions, ObjectMention, SoundMention, mentions
from eval_anything.synth.scene import (
    COLOURS,
    MOTIONS,
    PITCHES,
    SHAPES,
    SIZES,
    TIMBRES,
    Object,
    Scene,
    Sound,
    scene,
)

RED_CIRCLE = ObjectMention("circle", "red", "large", (0,))
OBJECTS = st.lists(
    st.builds(
        ObjectMention,
        shape=st.sampled_from(SHAPES),
        colour=st.none() | st.sampled_from(COLOURS),
        size=st.none() | st.sampled_from(SIZES),
        cells=st.sampled_from([(), (0,), (4,), (0, 1, 2)]),
        motion=st.none() | st.sampled_from(MOTIONS),
    ),
    max_size=5,
)
SOUNDS = st.lists(
    st.builds(SoundMention, timbre=st.sampled_from(TIMBRES[:3]), pitch=st.none() | st.sampled_from(PITCHES)),
    max_size=6,
)


def sounds(text: str) -> tuple[SoundMention, ...]:
    return mentions(text).sounds


def test_a_scene_states_everything_and_a_picture_nothing_of_motion() -> None:
    picture = Scene((Object("circle", "red", "large", 0),), (Sound("bell", "high"),))
    assert stated(picture) == Mentions((RED_CIRCLE,), (SoundMention("bell", "high"),))
    clip = Scene((Object("star", "blue", "small", 4, "left"),), (), video=True)
    assert stated(clip).objects == (ObjectMention("star", "blue", "small", (4,), "left"),)


@pytest.mark.parametrize(
    ("asked", "share"),
    [
        (ObjectMention("circle"), 1.0),
        (ObjectMention("circle", "red"), 1.0),
        (ObjectMention("circle", "blue"), 0.0),
        (ObjectMention("circle", "red", "small"), 0.5),
        (ObjectMention("circle", cells=(0, 1, 2)), 1.0),
        (ObjectMention("circle", cells=(6, 7, 8)), 0.0),
        (ObjectMention("circle", "red", "large", (0,), "left"), 0.75),
    ],
)
def test_details_are_those_that_were_asked_for(asked: ObjectMention, share: float) -> None:
    assert details(asked, RED_CIRCLE) == share


def test_each_object_stands_for_one_and_the_likest_first() -> None:
    asked = mentions("a red circle, a blue circle and a green star").objects
    found = mentions("a blue circle, a yellow circle and a ring").objects
    matched = match(asked, found)
    assert matched.partner == {1: 0, 0: 1}
    assert matched.elements == pytest.approx(2 / 3)
    assert matched.details == pytest.approx(1 / 3)
    assert matched.extra == pytest.approx(1 / 3)


def test_arrangement_is_how_objects_lie_to_each_other() -> None:
    asked = mentions("a red circle in the top left and a blue star in the middle").objects
    moved = mentions("a red circle in the top middle and a blue star in the middle right").objects
    swapped = mentions("a blue star in the top left and a red circle in the middle").objects
    assert match(asked, asked).arrangement == 1
    assert match(asked, moved).arrangement == 1
    assert match(asked, swapped).arrangement == 0
    assert match(asked, asked[:1]).arrangement == 0
    assert match(asked[:1], asked[:1]).arrangement == 1


@pytest.mark.parametrize(
    ("asked", "found", "share"),
    [
        ("two beeps, then a bell", "beep, beep, bell", 1.0),
        ("two beeps, then a bell", "a bell, then two beeps", 2 / 3),
        ("two beeps, then a bell", "two beeps", 0.8),
        ("two beeps, then a bell", "a hiss", 0.0),
        ("a low bell", "a high bell", 0.5),
        ("a bell", "a high bell", 1.0),
        ("a bell", "", 0.0),
        ("", "", 0.0),
    ],
)
def test_sounds_count_in_their_order(asked: str, found: str, share: float) -> None:
    assert heard_alike(sounds(asked), sounds(found)) == pytest.approx(share)


def test_coverage_takes_nothing_off_for_more() -> None:
    asked = mentions("a red circle and two beeps")
    assert coverage(asked, mentions("There is a red circle, a blue star, two beeps and a hiss.")) == 1
    assert coverage(asked, mentions("I see a blue circle.")) == pytest.approx(0.5 / 3)
    assert coverage(asked, mentions("Two beeps.")) == pytest.approx(2 / 3)
    assert coverage(asked, mentions("")) == 0


@pytest.mark.parametrize("seed", range(60))
def test_a_true_description_agrees_wholly_and_one_of_another_scene_less(seed: int) -> None:
    rng = Random(seed)
    one, other = scene(rng), scene(rng)
    said = mentions(f"{seen(one, rng)} {heard(one, rng)}")
    truth = stated(one)
    assert seen_alike(said.objects, truth.objects) == 1
    assert heard_alike(said.sounds, truth.sounds) == 1
    assert coverage(said, truth) == 1
    assert seen_alike(said.objects, stated(other).objects) < 1


@given(OBJECTS, OBJECTS, SOUNDS, SOUNDS)
def test_everything_lies_between_0_and_1(
    asked: list[ObjectMention], found: list[ObjectMention], told: list[SoundMention], made: list[SoundMention]
) -> None:
    assert 0 <= seen_alike(asked, found) <= 1
    assert 0 <= heard_alike(told, made) <= 1
    if asked:
        matched = match(asked, found)
        for share in (matched.elements, matched.details, matched.arrangement, matched.extra):
            assert 0 <= share <= 1
        assert matched.details <= matched.elements


@given(OBJECTS, OBJECTS, SOUNDS, SOUNDS)
def test_leaving_something_out_never_covers_more(
    asked: list[ObjectMention], found: list[ObjectMention], told: list[SoundMention], made: list[SoundMention]
) -> None:
    if not asked and not told:
        return
    wanted = Mentions(tuple(asked), tuple(told))
    whole = coverage(wanted, Mentions(tuple(found), tuple(made)))
    assert coverage(wanted, Mentions(tuple(found), tuple(made[1:]))) <= whole + 1e-9
    assert coverage(wanted, Mentions((), tuple(made))) <= whole + 1e-9
    assert 0 <= whole <= 1


@given(SOUNDS)
def test_a_sequence_agrees_with_itself(told: list[SoundMention]) -> None:
    assert common(told, told) == len(told)
