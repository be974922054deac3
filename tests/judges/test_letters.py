from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.judges.letters import letter, original_letter

READ = {
    # alone
    "A": "A",
    "B": "B",
    "b": "B",
    "a": "A",
    " C \n": "C",
    "D.": "D",
    "(C)": "C",
    "[B]": "B",
    "c)": "C",
    "**D**": "D",
    "`A`": "A",
    "__B__": "B",
    '"C"': "C",
    "'C'": "C",
    "$C$": "C",
    "\\boxed{C}": "C",
    "$\\boxed{\\text{C}}$": "C",
    "{D}": "D",
    "B!": "B",
    # head
    "B. Three beeps": "B",
    "B) Three beeps.": "B",
    "(B) Three beeps": "B",
    "B: three beeps": "B",
    "B - three beeps": "B",
    "A. A red circle": "A",
    "A) a red circle": "A",
    "c) three": "C",
    "a. three": "A",
    "C\nBecause a bell rings three times.": "C",
    "A\nA bell rings three times.": "A",
    # statements
    "Answer: C": "C",
    "Answer: (C)": "C",
    "ANSWER: C": "C",
    "answer: c": "C",
    "Answer is D.": "D",
    "The answer is B": "B",
    "The answer is (B).": "B",
    "The answer is: **B**": "B",
    "The correct answer is A.": "A",
    "The correct option is A because a bell rings.": "A",
    "the answer is b": "B",
    "Option B": "B",
    "option b": "B",
    "Choice: D": "D",
    "I'd say B": "B",
    "I\u2019d say B": "B",
    "I would go with C.": "C",
    "I choose (D)": "D",
    "It's A.": "A",
    "It is 'B'.": "B",
    '{"answer": "C"}': "C",
    "It sounds like D to me": "D",
    # several letters, one meant
    "Option B is wrong, it is C": "C",
    "C, not B": "C",
    "C not B": "C",
    "Not A. It is D.": "D",
    "A is incorrect and B is incorrect, so C.": "C",
    "B isn't right; D.": "D",
    "The answer is not A but C": "C",
    "C rather than D": "C",
    "A and B are close. The answer is B.": "B",
    "It could be A or B. Final answer: A": "A",
    "A says two, C says three. I'd say C.": "C",
    "I think it's B because A is a guitar and C is a drum": "B",
    "Between B and C, the correct option is C.": "C",
    "Looking at A, B, C and D: the answer is D": "D",
    "Answer: A. Final answer: B": "B",
    "A, B and C are out. Therefore D.": "D",
    "I hear a bell, so B": "B",
    "Option A is correct, while B, C and D are incorrect.": "A",
    "C is the right one; A and D are close": "C",
    "A: bell; B: beep; C: click; D: hiss. The answer is C: click": "C",
    "**B. Three**\n\nExplanation: Option A says two, which is wrong.": "B",
    "The answer is A) a bell, not B) a beep.": "A",
    "A bell rings. Answer: A": "A",
    '["B"]': "B",
    # beside other scripts
    "\u7b54\u6848\u662fB": "B",
    "\u7b54\u6848\uff1aC\u3002": "C",
    "Answer\uff1aC": "C",
    # thinking
    "<think>A or B? A has a bell.</think>B": "B",
    "<think>\n\n</think>\n\nC": "C",
    "Hmm, A or D.</think> D": "D",
    # music and contractions are no options
    "It is in C major, so B": "B",
    "I'd pick D, I'd really say": "D",
}
UNREAD = [
    "",
    " ",
    "?",
    "A red circle is visible in the picture",
    "A bell.",
    "I hear a bell",
    "I'd say three",
    "I HEAR A BELL",
    "THE ANSWER IS A BELL",
    "The answer is A red circle",
    "The answer is a bell",
    "a bell",
    "B or C",
    "A/B",
    "(A) or (B)",
    "The answer is A or B",
    "The answer is B and C",
    "Both B and D",
    "A, B, C and D",
    "A) red B) blue C) green D) white",
    "Not A, not B, not D",
    "None of A, B, C, D",
    "E",
    "Answer: E",
    "Answer:",
    "AB",
    "ABCD",
    "Answer: BC",
    "Answer: A. Answer: B.",
    "I cannot hear the recording",
    "Abcd efg",
    "A-flat",
    "It is in C major",
    "It is a song in C",
    "It is in the key of D.",
    "C\u00c9LINE",
    "20 \u00b0C",
    "C++ and C#",
    "3D",
    "D'accord",
    "B.C. and A.D.",
    "<think>B",
    "<think>B</think>",
    "the bells of d and c",
    "yes, b",
    "the answer is b or c",
    "I don't know; it can be B, it can be C.",
]


@pytest.mark.parametrize(("reply", "expected"), READ.items())
def test_read(reply: str, expected: str) -> None:
    assert letter(reply) == expected


@pytest.mark.parametrize("reply", UNREAD)
def test_unread(reply: str) -> None:
    assert letter(reply) is None


def test_other_letters() -> None:
    assert letter("E", "ABCDE") == "E"
    assert letter("The answer is B", "AB") == "B"
    assert letter("I hear a bell", "ABCDEFGHI") is None
    assert letter("I", "ABCDEFGHI") == "I"


@given(st.text(max_size=200))
def test_any_reply_gives_a_letter_that_it_holds_or_none(reply: str) -> None:
    found = letter(reply)
    assert found is None or (found in "ABCD" and found in reply.upper())


FORMS = [
    "{}",
    "({})",
    "**{}**",
    "{}.",
    "Answer: {}",
    "The answer is {}.",
    "Option {}",
    "I'd say {}",
    "It is ({})",
]


@given(st.sampled_from("ABCD"), st.sampled_from(FORMS), st.sampled_from(["", " ", "\n", "\n\n"]), st.text())
def test_every_form_is_read_whatever_was_thought(right: str, form: str, space: str, thought: str) -> None:
    thought = thought.replace("<", "").replace(">", "")
    assert letter(f"<think>{thought}</think>{space}{form.format(right)}{space}") == right


@given(
    st.permutations("ABCD"), st.sampled_from(["{} or {}", "{}/{}", "either {} or {}", "{} and {}", "{}, {}"])
)
def test_two_options_are_none(order: list[str], form: str) -> None:
    assert letter(form.format(*order)) is None


@pytest.mark.parametrize(
    "piece", ["A ", "answer is ", "(", "B or ", "it is so ", "'", "not ", "answer : : ", "\n"]
)
def test_a_hostile_reply_is_read_in_no_time(piece: str) -> None:
    start = time.perf_counter()
    letter(piece * 100_000)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(c)", "C"),
        ("Answer: D", "D"),
        ("AnswerC", "C"),
        ("optionB", "B"),
        ("I'd say B", "D"),
        ("a bell, so C", "A"),
        ("B or C", "B"),
        ("E", None),
        ("", None),
    ],
)
def test_the_original_rule_has_its_quirks(reply: str, expected: str | None) -> None:
    assert original_letter(reply) == expected
