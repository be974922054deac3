from random import Random

import pytest

from eval_anything.synth.scene import scene
from eval_anything.tasks.amu.answerer import Truth, truthful_answer

TRUTHS = [Truth(scene(Random(i), video=i % 2 == 0), "count", f"Right answer {i}.") for i in range(20)]


@pytest.mark.parametrize("truth", TRUTHS)
def test_answerer_says_only_what_it_is_given(truth):
    medium = "video" if truth.scene.video else "image"
    heard = truthful_answer(truth, {"text", "audio"})
    seen = truthful_answer(truth, {"text", medium})
    assert truthful_answer(truth, {"text", "audio", medium}) == truth.answer
    for obj in truth.scene.objects:
        assert obj.colour in seen and obj.colour not in heard
    for sound in truth.scene.sounds:
        assert sound.timbre in heard and sound.timbre not in seen
    nothing = truthful_answer(truth, {"text"})
    assert "neither" in nothing and not any(obj.colour in nothing for obj in truth.scene.objects)


def test_a_clip_is_not_seen_by_one_who_is_given_only_pictures():
    clip = next(truth for truth in TRUTHS if truth.scene.video)
    assert truthful_answer(clip, {"image", "audio"}) == truthful_answer(clip, {"audio"})
