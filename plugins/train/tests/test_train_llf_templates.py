"""The words with which the models of LLF are asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval_anything.errors import DataError
from eval_anything.values import File, Message, Text
from eval_anything_train.feedback import question
from eval_anything_train.llf.templates import NAMES, Templates

IMAGE = File("/data/a.png", "image")
ASKED = (Message("user", (IMAGE, Text("What is it?"))),)
ANSWER = (Text("A cat {feedback}."),)


def test_what_others_said_is_pasted_and_never_read_as_a_placeholder() -> None:
    first, second, third = Templates().again(ASKED, ANSWER, "##Critique: {alone} is bad")
    assert (first, second) == (ASKED[0], Message("assistant", ANSWER))
    assert "\n\n##Critique: {alone} is bad\n\n" in third.parts[0].text  # type: ignore[union-attr]


def test_without_feedback_nothing_of_a_review_is_said() -> None:
    *_, told = Templates().again(ASKED, ANSWER, None)
    assert "review" not in told.parts[0].text  # type: ignore[union-attr]


def test_a_model_that_was_trained_for_it_is_asked_as_it_was_taught() -> None:
    assert Templates().critique(ASKED, ANSWER, instruct=False) == question(ASKED, ANSWER)


def test_the_instruction_stands_before_what_a_system_turn_says_already() -> None:
    asked = (Message("system", (Text("Be brief."),)), *ASKED)
    system, user = Templates().critique(asked, ANSWER, instruct=True)
    assert system.role == "system" and len(system.parts) == 1
    assert system.parts[0].text.endswith("\n\nBe brief.")  # type: ignore[union-attr]
    assert user == question(asked, ANSWER)[1]
    system, user = Templates().critique(ASKED, ANSWER, instruct=True)
    assert system.role == "system" and user == question(ASKED, ANSWER)[0]


def test_each_template_has_a_hash_of_its_own_that_follows_its_text(tmp_path: Path) -> None:
    ours = Templates()
    assert len({ours.digest(name) for name in NAMES}) == len(NAMES)
    (tmp_path / "alone.md").write_text("Again!")
    theirs = Templates(str(tmp_path))
    changed = [name for name in NAMES if theirs.digest(name) != ours.digest(name)]
    assert changed == ["alone"]
    assert theirs.again(ASKED, ANSWER, None)[-1].parts == (Text("Again!"),)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("refine", "Again.", "no {feedback}"),
        ("compare", "{first} or {second}?", "no {prompt}"),
        ("compare", "{prompt} {first} {secnd}", "unknown placeholder 'secnd'; did you mean 'second'"),
        ("review", "Again.", "holds none of refine.md, alone.md, instruct.md, compare.md"),
    ],
)
def test_templates_that_would_hide_something_are_refused(
    name: str, text: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.md").write_text(text)
    with pytest.raises(DataError) as fault:
        Templates(str(tmp_path))
    assert told in str(fault.value)
