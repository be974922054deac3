from random import Random

import pytest

from eval_anything.synth.scene import CELLS
from eval_anything.tasks.amu.twin_perception import PERCEPTION_VIDEO, motion_and_first


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("family", PERCEPTION_VIDEO[:-1], ids=lambda family: family.__name__)
def test_answer_names_what_the_scene_holds(family, video):
    if family is motion_and_first and not video:
        return
    for seed in range(30):
        question = family(Random(seed), video)
        scene = question.scene
        assert scene.video == video
        assert question.answer not in (*question.full, *question.terse)
        timbres = {sound.timbre for sound in scene.sounds}
        looks = {f"{obj.colour} {obj.shape}" for obj in scene.objects}
        match family.__name__:
            case "count":
                continue
            case "description":
                assert all(look in question.answer for look in looks)
                assert all(timbre in question.answer for timbre in timbres)
            case "large_and_last":
                (large,) = (obj for obj in scene.objects if obj.size == "large")
                assert f"{large.colour} {large.shape}" in question.answer
                assert question.answer.endswith(f"{scene.sounds[-1].timbre}.")
            case "place_and_order":
                assert question.answer.endswith(f"{', '.join(sound.timbre for sound in scene.sounds)}.")
                asked = next(o for o in scene.objects if f"{o.colour} {o.shape}" in question.text)
                assert f"in the {CELLS[asked.cell]}," in question.answer
            case "motion_and_first":
                assert question.answer.endswith(f"{scene.sounds[0].timbre}.")
                asked = next(o for o in scene.objects if f"{o.colour} {o.shape}" in question.text)
                moves = "does not move" if asked.motion == "still" else f"moves {asked.motion}"
                assert moves in question.answer
            case "repeats":
                assert looks.pop() in question.answer
            case other:
                pytest.fail(f"{other} is not checked")
