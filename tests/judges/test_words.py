import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.judges.words import MAX_CHARS, likeness, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("three beeps", "3 beep"),
        ("buzzes and hisses", "a buzz, a hiss"),
        ("It is moving", "it moves"),
        ("colour gray", "COLOR grey"),
        ("stopped, running", "stop run"),
        ("objects=3; sounds=2", "3 objects and 2 sounds"),
        ("1. a cat\n2. a dog", "cat\ndog"),
        ("**red** _circle_", "red circle"),
        ("the dog\u2019s bone", "dog bone"),
        ("berries", "berry"),
    ],
)
def test_forms_of_one_word_are_one(one, other):
    assert words(one).tokens == words(other).tokens


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("three large red circles", {("3", "circl"), ("red", "circl")}),
        ("no sirens", {("0", "siren")}),
        ("two more objects than sounds", {("more", "object")}),
        ("one sound for each object", set()),
        ("one sound per object", set()),
        ("more by two", set()),
        ("four, then sounds", set()),
        ("objects: 3", {("3", "object")}),
        ("the red one is", set()),
    ],
)
def test_facts(text, facts):
    assert set(words(text).facts) == facts


@pytest.mark.parametrize(
    ("text", "polarity"),
    [("Yes, three.", "yes"), ("No: two", "no"), ("No, there", "no"), ("no sounds are heard", ""), ("", "")],
)
def test_polarity(text, polarity):
    assert words(text).polarity == polarity


def test_holds():
    said = words("The picture shows a red circle and three large blue stars.")
    assert said.holds(("red", "circl")) == 1
    assert said.holds(("3", "star")) == 1
    assert 0.5 < said.holds(("blue", "circl")) < 1
    assert 0 < said.holds(("green", "circl")) < 0.5
    assert said.holds(("bell",)) == 0


@given(st.text(max_size=300))
def test_any_text_is_read_and_is_like_itself(text):
    read = words(text)
    assert likeness(read, read) == (1.0 if read.tokens else 0.0)
    assert all(token and not token.isspace() for token in read.tokens)


@given(st.text(max_size=100), st.text(max_size=100))
def test_likeness_is_bounded_and_shared_words_make_it(one, other):
    a, b = words(one), words(other)
    assert 0 <= likeness(a, b) <= 1
    assert (likeness(a, b) > 0) == bool(a.features & b.features)


def test_leaving_out_costs_more_than_adding():
    short, long = words("a red circle"), words("a red circle beside a tall green house")
    assert likeness(long, short) > likeness(short, long)


def test_only_so_much_is_read():
    assert words("cat " * MAX_CHARS + "dog").tokens == words("cat " * (MAX_CHARS // 4)).tokens
