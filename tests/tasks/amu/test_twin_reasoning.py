from random import Random

import pytest

from eval_anything.synth.describe import number
from eval_anything.tasks.amu.twin_reasoning import REASONING

CORNERS = {3: "triangle", 4: "square", 5: "star"}


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("family", REASONING, ids=lambda family: family.__name__)
def test_conclusion_follows_from_the_scene(family, video):
    conclusions = set()
    for seed in range(40):
        question = family(Random(seed), video)
        n, m = len(question.scene.objects), len(question.scene.sounds)
        match family.__name__:
            case "one_for_each":
                right = "Yes" if n == m else "No"
            case "difference":
                right = f"More {'objects' if n > m else 'sounds'}, by {number(abs(n - m))}"
            case "together":
                right = f"You get {number(n + m)},"
            case "corners":
                (obj,) = (obj for obj in question.scene.objects if obj.shape == CORNERS[m])
                right = f"That is the {obj.colour} {obj.shape}"
            case "counted_off":
                obj = sorted(question.scene.objects, key=lambda obj: obj.cell % 3)[m - 1]
                right = f"I stop at the {obj.colour} {obj.shape}"
            case other:
                pytest.fail(f"{other} is not checked")
        assert question.answer.startswith(right)
        conclusions.add(right)
    assert len(conclusions) > 1
