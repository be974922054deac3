from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.models.reasoning import split_reasoning


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", (None, "plain")),
        ("  plain \n", (None, "  plain \n")),
        ("<think>a</think>b", ("a", "b")),
        ("\n<think>\na\n</think>\n\nb\n", ("a", "b")),
        ("<think></think>b", ("", "b")),
        ("<think>a</think><think>c</think>b", ("a\nc", "b")),
        ("a\n</think>\nb", ("a", "b")),
        ("<think>cut in the mid", ("cut in the mid", "")),
        ("The tag <think> opens", (None, "The tag <think> opens")),
        ("Write <think>x</think> so", (None, "Write <think>x</think> so")),
        ("<think>a</think>say </think>", ("a", "say </think>")),
        ("", (None, "")),
    ],
)
def test_split(text: str, expected: tuple[str | None, str]) -> None:
    assert split_reasoning(text) == expected


_tagless = st.text().filter(lambda t: "think>" not in t)


@given(_tagless, _tagless)
def test_thinking_and_answer_come_apart(thought: str, answer: str) -> None:
    assert split_reasoning(f"<think>{thought}</think>{answer}") == (thought.strip(), answer.strip())


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", " ", "\n"])).map("".join))
def test_any_nesting_ends_and_invents_nothing(text: str) -> None:
    thought, answer = split_reasoning(text)
    assert answer in text
    assert (thought is None) == (answer == text and not text.lstrip().startswith("<think>"))
