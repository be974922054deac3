import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.judges.layout import agreement, layout

REFERENCES = {
    "pairs": ["objects=3; sounds=2"] * 10,
    "capitals": ["CIRCLE, STAR, BEEP"] * 9 + ["CIRCLE STAR BEEP"],
    "bullets": ["* a cat\n* a dog", "* cat\n* dog", "* one cat\n* one dog"],
    "wrapped": ["<<3/bell>>"] * 10,
}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("pairs", "objects=1; sounds=5", "There are 3 objects and 2 sounds."),
        ("capitals", "RING, CROSS, HISS", "circle, star, beep"),
        ("bullets", "* a ring\n* a hiss", "- a cat\n- a dog"),
        ("wrapped", "<<1/hiss>>", "3/bell"),
    ],
)
def test_right_form_agrees_whatever_it_says(name, right, wrong):
    references = [layout(text) for text in REFERENCES[name]]
    assert agreement(layout(right), references) > 0.95
    assert agreement(layout(wrong), references) < 0.9


def test_what_the_references_do_not_agree_on_is_not_asked_for():
    references = [layout(text) for text in ("yes!", "yes?", "yes.", "yes;")]
    assert agreement(layout("yes:"), references) == 1


@given(st.text(max_size=200))
def test_any_text_agrees_with_itself(text):
    assert agreement(layout(text), [layout(text)] * 3) == 1
