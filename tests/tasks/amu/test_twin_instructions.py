import re
from random import Random

import pytest

from eval_anything.tasks.amu.twin_instructions import INSTRUCTIONS

FORMS = {
    "pairs": r"objects=[1-4]; sounds=[1-5]",
    "capitals": r"[A-Z]+(, [A-Z]+)+",
    "bullets": r"\* [^\n]+\n\* [^\n]+",
    "wrapped": r"<<[1-4]/[a-z]+>>",
}


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("family", INSTRUCTIONS, ids=lambda family: family.__name__)
def test_every_answer_has_the_form_and_the_content(family, video):
    for seed in range(30):
        question = family(Random(seed), video)
        scene = question.scene
        for answer in (question.answer, *question.full):
            assert re.fullmatch(FORMS[family.__name__], answer)
            if family.__name__ in ("pairs", "wrapped"):
                assert str(len(scene.objects)) in answer
            if family.__name__ in ("capitals", "bullets"):
                assert all(obj.shape in answer.lower() for obj in scene.objects)
                assert all(sound.timbre in answer.lower() for sound in scene.sounds)
            if family.__name__ == "pairs":
                assert answer.endswith(str(len(scene.sounds)))
            if family.__name__ == "wrapped":
                assert answer.endswith(f"{scene.sounds[-1].timbre}>>")
