from random import Random

import pytest

from eval_anything.synth.scene import scene
from eval_anything.tasks.amu.twin_question import Question, annotate, in_digits, sentence

QUESTION = Question(
    family="count",
    scene=scene(Random(0)),
    text="How many?",
    answer="Three, and two.",
    full=("three seen, two heard", "two heard, three seen", "it is three and two"),
    terse=("three, two",),
    visual=("three", "three objects"),
    auditory=("two",),
)


@pytest.mark.parametrize("seed", range(20))
def test_ten_annotations_with_one_or_two_terse_and_the_first_keyword_always(seed):
    made = annotate(QUESTION, Random(seed))
    assert len(made) == 10
    terse = [a for a in made if in_digits(a["answer"]) == "3, 2"]
    assert len(terse) in (1, 2)
    for annotation in made:
        assert annotation["keywords"]["visual"][0] in ("three", "3")
        assert annotation["keywords"]["auditory"] in (["two"], ["2"])


def test_annotators_differ():
    made = [str(annotation) for seed in range(5) for annotation in annotate(QUESTION, Random(seed))]
    assert len(set(made)) > 10
    assert any("3" in one for one in made)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("Three beeps and two", "3 beeps and 2"),
        ("one sound", "one sound"),
        ("often tenfold", "often tenfold"),
    ],
)
def test_in_digits(text, digits):
    assert in_digits(text) == digits


def test_sentence():
    assert sentence("in the top left") == "In the top left."
