from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.synth import describe
from eval_anything.synth.scene import CELLS, Object, Scene, Sound, scene

SCENE = Scene(
    (Object("circle", "red", "large", 0), Object("star", "blue", "small", 4)),
    (Sound("buzz"), Sound("buzz"), Sound("click", "high")),
)


def test_phrases_of_a_known_scene():
    assert (
        describe.objects_phrase(SCENE)
        == "a large red circle in the top left and a small blue star in the middle"
    )
    assert describe.sounds_phrase(SCENE.sounds) == "two buzzes, then one click"
    assert describe.sounds_phrase(SCENE.sounds, digits=True) == "2 buzzes, then 1 click"
    assert describe.order_phrase(SCENE.sounds) == "buzz, buzz, click"


@pytest.mark.parametrize(
    ("n", "noun", "said"),
    [
        (0, "beep", "no beeps"),
        (1, "cross", "one cross"),
        (3, "cross", "three crosses"),
        (2, "hiss", "two hisses"),
    ],
)
def test_counted(n, noun, said):
    assert describe.counted(n, noun) == said


@pytest.mark.parametrize(
    ("phrases", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listed(phrases, said):
    assert describe.listed(phrases) == said


@given(st.integers(0, 5000), st.booleans())
def test_sentences_say_the_whole_truth(seed, video):
    drawn = scene(Random(seed), video=video)
    seen = describe.seen(drawn, Random(seed))
    for obj in drawn.objects:
        moves = f" {describe.movement(obj)}" if video else ""
        assert f"{obj.size} {obj.colour} {obj.shape}{moves} in the {CELLS[obj.cell]}" in seen
    heard = describe.heard(drawn, Random(seed))
    assert sum(n for _, n in describe.runs(drawn.sounds)) == len(drawn.sounds)
    for timbre, n in describe.runs(drawn.sounds):
        assert describe.counted(n, timbre) in heard
    assert seen.endswith(".") and heard.endswith(".")


def test_several_phrasings():
    assert len({describe.seen(SCENE, Random(i)) for i in range(30)}) == 4
    assert len({describe.heard(SCENE, Random(i)) for i in range(30)}) == 4
