"""Reading the scene vocabulary: describing and parsing are inverse, and any text can be read."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.synth.describe import heard, order_phrase, seen
from eval_anything.synth.parse import (
    MOST,
    ObjectMention,
    SoundMention,
    mentions,
    scene_from_prompt,
    understood,
)
from eval_anything.synth.scene import CELLS, SHAPES, TIMBRES, Object, Scene, Sound, scene


@given(seed=st.integers(0, 100_000), video=st.booleans())
def test_what_is_described_is_read_back(seed, video):
    rng = Random(seed)
    truth = scene(rng, video=video)
    sight, hearing = seen(truth, rng), heard(truth, rng)
    read = mentions(f"{sight} {hearing}")
    assert [(o.shape, o.colour, o.size, o.cells) for o in read.objects] == [
        (o.shape, o.colour, o.size, (o.cell,)) for o in truth.objects
    ]
    assert [o.motion for o in read.objects] == [o.motion if video else None for o in truth.objects]
    assert [s.timbre for s in read.sounds] == [s.timbre for s in truth.sounds]
    assert mentions(order_phrase(truth.sounds)).sounds == read.sounds
    made = scene_from_prompt(sight, seed, video=video)
    assert made.objects == truth.objects and made.sounds == ()
    assert [s.timbre for s in scene_from_prompt(hearing, seed).sounds] == [s.timbre for s in truth.sounds]


@given(text=st.text(max_size=300), seed=st.integers(0, 2**40), video=st.booleans())
def test_any_text_is_read(text, seed, video):
    made = scene_from_prompt(text, seed, video=video)
    assert made == scene_from_prompt(text, seed, video=video)
    assert made.objects or made.sounds


VOCABULARY = (
    *SHAPES, *TIMBRES, "red", "small", "top", "left", "middle", "moving", "up", "the", "a", "three", "99",
    "no", "and", "then", "of", "times", "in", "circles", "is", ",", ".",
)  # fmt: skip


@given(words=st.lists(st.sampled_from(VOCABULARY), max_size=40), seed=st.integers(0, 99))
def test_any_heap_of_words_of_the_vocabulary_gives_a_scene_that_can_be_drawn(words, seed):
    made = scene_from_prompt(" ".join(words), seed, video=True)
    cells = [o.cell for o in made.objects]
    assert cells == sorted(set(cells)) and all(cell in range(len(CELLS)) for cell in cells)


READ = {
    "three red circles and a small blue star in the top left": (
        *(ObjectMention("circle", "red"),) * 3,
        ObjectMention("star", "blue", "small", (0,)),
    ),
    "A green ring moving left": (ObjectMention("ring", "green", motion="left"),),
    "a star that drifts from left to right": (ObjectMention("star", motion="right"),),
    "In the top left there is a ring, in the middle a red cross.": (
        ObjectMention("ring", cells=(0,)),
        ObjectMention("cross", "red", cells=(4,)),
    ),
    "a big square at the bottom": (ObjectMention("square", size="large", cells=(6, 7, 8)),),
    "A red circle and a star. The circle is large and moves to the left.": (
        ObjectMention("circle", "red", "large", motion="left"),
        ObjectMention("star"),
    ),
    "a red circle to the left of a blue star": (
        ObjectMention("circle", "red"),
        ObjectMention("star", "blue"),
    ),
    "no circles, just one shiny white triangle standing still": (
        ObjectMention("triangle", "white", motion="still"),
    ),
    "2 upper-right squares": (ObjectMention("square", cells=(2,)),) * 2,
    "a dog in a red car": (),
}


@pytest.mark.parametrize("text", READ)
def test_objects_of_a_text(text):
    assert mentions(text).objects == READ[text]


HEARD = {
    "two beeps, then a low bell": (SoundMention("beep"),) * 2 + (SoundMention("bell", "low"),),
    "a high-pitched chirp": (SoundMention("chirp", "high"),),
    "a bell rings three times and a siren": (SoundMention("bell"),) * 3 + (SoundMention("siren"),),
    "beep, beep, click": (SoundMention("beep"), SoundMention("beep"), SoundMention("click")),
    "no hisses": (),
    "a bell ring": (SoundMention("bell"),),
}


@pytest.mark.parametrize("text", HEARD)
def test_sounds_of_a_text(text):
    assert mentions(text).sounds == HEARD[text]
    assert mentions(text).objects == ()


def test_what_the_prompt_says_holds_for_every_seed_and_the_rest_is_drawn():
    made = {scene_from_prompt("a red circle in the top left", seed) for seed in range(20)}
    assert made == {Scene((Object("circle", "red", size, 0),), ()) for size in ("small", "large")}
    assert len({scene_from_prompt("a sunset over the sea", seed) for seed in range(20)}) > 10
    assert {scene_from_prompt("a low bell", seed).sounds for seed in range(5)} == {(Sound("bell", "low"),)}


def test_a_prompt_outside_the_vocabulary_is_not_understood():
    assert not understood("a sunset over the sea")
    assert understood("a sunset with one circle")


def test_a_hostile_text_costs_little():
    assert len(mentions("99999999999999999999 beeps and 10000000 red circles").sounds) == MOST
    assert len(mentions("a red circle left " * 50_000).objects) == MOST
