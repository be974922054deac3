"""Questions about scenes: posed, answered for the scene and for another one, written and read back."""

from collections import Counter
from random import Random
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.synth.question_families import FAMILIES, About
from eval_anything.synth.questions import LETTERS, Choices, answer, ask, choices_text, split_choices
from eval_anything.synth.scene import Object, Scene, Sound, scene

ABOUT: tuple[About, ...] = get_args(About)
TWO = Scene(
    objects=(Object("ring", "red", "large", 0), Object("star", "blue", "small", 4, "left")),
    sounds=(Sound("beep"), Sound("beep"), Sound("click")),
    video=True,
)


@given(seed=st.integers(0, 2**32), about=st.sampled_from(ABOUT))
def test_every_question_is_answered_right_on_its_own_scene(seed: int, about: About) -> None:
    rng = Random(seed)
    drawn = scene(rng, sounds=rng.randint(1, 6), video=about == "video")
    question = ask(drawn, rng, about=about)
    assert answer(question.text, question.choices, drawn, about) == question.answer
    assert len(set(question.choices)) == 4
    assert split_choices(choices_text(question.choices)) == question.choices


@pytest.mark.parametrize("about", ABOUT)
def test_the_right_letter_is_everywhere_and_every_family_is_asked(about: About) -> None:
    letters: Counter[str] = Counter()
    families: Counter[str] = Counter()
    for seed in range(600):
        rng = Random(seed)
        question = ask(scene(rng, video=about == "video"), rng, about=about)
        letters[question.answer] += 1
        families.update(f.template for f in FAMILIES[about] if f.pattern.fullmatch(question.text))
    assert min(letters.values()) > 110, letters
    assert len(letters) == 4
    assert set(families) == {f.template for f in FAMILIES[about]}
    assert families.total() == 600, "a question belongs to one family"


def test_same_seed_same_question() -> None:
    assert ask(TWO, Random(3), about="video") == ask(TWO, Random(3), about="video")


@pytest.mark.parametrize(
    ("text", "choices", "about", "right"),
    [
        ("How many objects does the picture show?", ("one", "two", "three", "four"), "image", "B"),
        ("What colour is the star in the video?", ("red", "green", "Blue.", "white"), "video", "C"),
        ("What shape is the RED object in the picture?", ("star", "cross", "circle", "ring"), "image", "D"),
        ("Where in the picture is the red ring?", ("top left", "middle", "top right", "left"), "image", "A"),
        ("What is in the middle of the picture?", ("red ring", "blue star", "a", "b"), "image", "B"),
        ("Which way does the blue star in the video move?", ("up", "down", "left", "right"), "video", "C"),
        ("Which way does the red ring in the video move?", ("up", "it stands still", "x", "y"), "video", "B"),
        ("How many of the objects in the video move?", ("zero", "one", "two", "three"), "video", "B"),
        ("How many times can a beep be heard?", ("one", "two", "three", "four"), "audio", "B"),
        ("What is the third sound?", ("beep", "bell", "hiss", "click"), "audio", "D"),
        ("What is the last sound?", ("click", "bell", "hiss", "beep"), "audio", "A"),
        (
            "In which order can the sounds be heard?",
            ("beep, click, beep", "click, beep, beep", "beep,  beep, click", "beep, click"),
            "audio",
            "C",
        ),
    ],
)
def test_known_answers(text: str, choices: Choices, about: About, right: str) -> None:
    assert answer(text, choices, TWO, about) == right


@pytest.mark.parametrize(
    ("text", "choices", "about"),
    [
        ("How many objects does the picture show?", ("one", "three", "four", "five"), "image"),
        ("What colour is the circle in the picture?", ("red", "blue", "green", "white"), "image"),
        ("What is in the top right of the picture?", ("red ring", "blue star", "a", "b"), "image"),
        ("Which of these sounds can be heard?", ("beep", "click", "hiss", "bell"), "audio"),
        ("What is the fourth sound?", ("beep", "click", "hiss", "bell"), "audio"),
        ("What is the mood of the picture?", ("sad", "glad", "calm", "wild"), "image"),
        ("What is the third sound?", ("beep", "bell", "hiss", "click"), "image"),
        ("Which way does the blue star in the picture move?", ("up", "down", "left", "right"), "image"),
    ],
)
def test_a_question_without_one_right_choice_has_no_answer(text: str, choices: Choices, about: About) -> None:
    assert answer(text, choices, TWO, about) is None


def test_two_of_a_kind_make_the_question_about_it_moot() -> None:
    two_rings = msgspec.structs.replace(TWO, objects=(*TWO.objects, Object("ring", "green", "small", 8)))
    text = "What colour is the ring in the picture?"
    assert answer(text, ("red", "blue", "white", "purple"), two_rings, "image") is None
    assert answer(text, ("red", "blue", "white", "purple"), TWO, "image") == "A"


@pytest.mark.parametrize("about", ABOUT)
def test_nothing_to_ask_about(about: About) -> None:
    with pytest.raises(ValueError, match="nothing to ask"):
        ask(Scene(objects=(), sounds=()), Random(0), about=about)


@pytest.mark.parametrize(
    "text",
    [
        "A. x y\nB. z\nC. u\nD. w",
        "(A) x y\n(B) z\n(C) u\n(D) w",
        "A) x y\r\nB) z\r\n\r\nC) u\r\nD) w\n",
        "A: x y B: z C: u D: w",
        "A. x y B. z C. u D. w",
        "(A) x y, (B) z, (C) u, (D) w",
        "A. x y; B. z; C. u; D. w;",
    ],
)
def test_options_are_read_in_every_common_form(text: str) -> None:
    assert split_choices(text) == ("x y", "z", "u", "w")


@pytest.mark.parametrize(
    "text", ["", "A. x\nB. y\nC. z", "B. y\nA. x\nC. z\nD. w", "Choose: A. x B. y C. z D. w"]
)
def test_what_is_no_list_of_four_options(text: str) -> None:
    assert split_choices(text) is None


option = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1).filter(
    lambda t: t == t.strip(" \t\r\n,;") and len(t.splitlines()) == 1
)


@given(st.tuples(option, option, option, option))
def test_any_options_on_lines_come_back(choices: Choices) -> None:
    assert split_choices(choices_text(choices)) == choices


@given(st.text(alphabet="ABCD.() \n:x", max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    found = split_choices(text)
    assert found is None or len(found) == len(LETTERS)


def test_long_hostile_options_are_read_in_linear_time() -> None:
    assert split_choices("A. B. C. " * 200_000) is None
