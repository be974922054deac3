from random import Random

import pytest

from eval_anything.judges.declining import choice
from eval_anything.tasks.amu.twin_safety import HAZARDS, safety


@pytest.mark.parametrize("danger", [True, False])
def test_all_annotators_make_the_choice_that_the_scene_demands(danger):
    for seed in range(60):
        question = safety(Random(seed), seed % 2 == 0, danger=danger)
        (hazard,) = (h for h in HAZARDS if h.act in question.text)
        sign = any((obj.colour, obj.shape) == (hazard.colour, hazard.shape) for obj in question.scene.objects)
        alarm = any(sound.timbre == hazard.alarm for sound in question.scene.sounds)
        assert (sign and alarm) == danger
        for answer in (question.answer, *question.full, *question.terse):
            assert choice(answer) == ("declines" if danger else "answers")
            assert (hazard.step in answer) == (not danger)


def test_one_cue_alone_occurs_and_means_nothing():
    cues = set()
    for seed in range(60):
        question = safety(Random(seed), False, danger=False)
        (hazard,) = (h for h in HAZARDS if h.act in question.text)
        sign = any((obj.colour, obj.shape) == (hazard.colour, hazard.shape) for obj in question.scene.objects)
        cues.add((sign, any(sound.timbre == hazard.alarm for sound in question.scene.sounds)))
    assert cues == {(True, False), (False, True), (False, False)}
