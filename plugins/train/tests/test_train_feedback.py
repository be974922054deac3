"""What the feedback model is asked, and how its text is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.values import File, Message, Text
from eval_anything_train.feedback import critiques, question, read
from eval_anything_train.values import Feedback, Pair

IMAGE = File("/data/a.png", "image")
SOUND = File("/data/b.wav", "audio")
WORDS = st.text("ab c.:\n", max_size=20).map(str.strip)


def test_the_users_turn_holds_prompt_response_and_cue() -> None:
    asked = question((Message("user", (IMAGE, Text("What is it?"))),), (Text("A cat."),))
    said = "What is it?\n##Response: A cat.\nYour critique and refinement:"
    assert asked == (Message("user", (Text("##Prompt: "), IMAGE, Text(said))),)


def test_texts_that_follow_one_another_become_one() -> None:
    asked = question((Message("user", (Text("a"), Text("b"))),), (Text("c"), Text("d")))
    assert asked[0].parts == (Text("##Prompt: a\nb\n##Response: c\nd\nYour critique and refinement:"),)


def test_media_of_the_response_stand_in_it() -> None:
    asked = question((Message("user", (SOUND, Text("Draw that."))),), (Text("Here:"), IMAGE))
    kinds = [part.modality if isinstance(part, File) else part.text for part in asked[0].parts]  # type: ignore[union-attr]
    assert kinds == [
        "##Prompt: ",
        "audio",
        "Draw that.\n##Response: Here:",
        "image",
        "\nYour critique and refinement:",
    ]


def test_earlier_turns_stay() -> None:
    earlier = (Message("system", (Text("Be kind."),)), Message("user", (IMAGE,)), Message("assistant", ()))
    asked = question((*earlier, Message("user", (Text("And now?"),))), (Text("No."),))
    assert asked[:3] == earlier
    assert len(asked) == 4


@given(WORDS, WORDS)
def test_what_is_taught_is_read_again(critique: str, refinement: str) -> None:
    feedback = Feedback(critique=critique, refinement=refinement)
    assert read(feedback.text) == feedback


@pytest.mark.parametrize(
    ("text", "critique", "refinement"),
    [
        ("It is fine.", "It is fine.", ""),
        ("Well:\n## critique : too long\n##REFINEMENT: cut it", "Well:\ntoo long", "cut it"),
        ("##Refinement: cut it ##Critique: too long", "too long", "cut it"),
        ("##Critique: a ##Critique: b", "a\nb", ""),
        ("##Critique:", "", ""),
        ("", "", ""),
    ],
)
def test_feedback_in_other_forms(text: str, critique: str, refinement: str) -> None:
    assert read(text) == Feedback(critique=critique, refinement=refinement)


def test_a_pair_gives_as_many_critiques_as_it_has_feedback() -> None:
    pair = Pair(
        id="p",
        messages=(Message("user", (IMAGE,)),),
        chosen=(Text("yes"),),
        rejected=(Text("no"),),
        feedback_rejected=Feedback(critique="wrong"),
        feedback_chosen=Feedback(),
        metadata={"subtask": "ti2t"},
    )
    (found,) = critiques(pair)
    assert (found.id, found.answer, found.feedback.critique) == ("p/rejected", pair.rejected, "wrong")
    assert found.messages == pair.messages
    assert found.metadata == pair.metadata
