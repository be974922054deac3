"""What a judge is shown: fences that nothing can close, and media with labels in their places."""

import re

from hypothesis import given
from hypothesis import strategies as st
from judge_lab import case

from eval_anything.judge import Rubric
from eval_anything.judges.prompting import answer_parts, compose, contents
from eval_anything.values import Artifact, Image, Response, Text


def picture(number: int) -> Image:
    return Image(Artifact(sha256=f"{number:064x}", mime="image/png", bytes_size=1))


ANSWER = (Text("First:"), picture(1), Text("then:"), picture(2))


def test_media_stand_behind_their_labels_which_also_stand_in_their_places() -> None:
    prompt = compose("Judge.", "Q: {question}\nA: {response}", {}, {"question": "why?", "response": ANSWER})
    system, user = prompt.messages
    assert system.parts == (Text("Judge."),)
    text, *rest = user.parts
    assert isinstance(text, Text)
    digest = re.search(r"<answer ([0-9a-f]{16})>", text.text)
    assert digest is not None
    first, second = (f"<answer image {i} {digest[1]}/>" for i in (1, 2))
    assert f"<answer {digest[1]}>\nFirst:\n{first}\nthen:\n{second}\n</answer {digest[1]}>" in text.text
    assert rest == [Text(first), picture(1), Text(second), picture(2)]


def test_what_the_template_does_not_have_is_not_shown() -> None:
    prompt = compose("", "A: {response}", {}, {"question": ANSWER, "response": "yes"})
    assert len(prompt.messages) == 1
    assert len(prompt.messages[0].parts) == 1


def test_the_digest_depends_on_everything_that_is_shown() -> None:
    def digest(*parts: Text | Image) -> str:
        (user,) = compose("", "A: {response}", {}, {"response": parts}).messages
        assert isinstance(user.parts[0], Text)
        return user.parts[0].text.split(">")[0]

    assert digest(Text("a")) == digest(Text("a"))
    assert len({digest(Text("a")), digest(Text("b")), digest(Text("a"), picture(1)), digest(picture(1))}) == 4


@given(st.text(max_size=60))
def test_no_answer_closes_its_fence_or_gives_a_verdict(answer: str) -> None:
    prompt = compose("", "A: {response} the end", {}, {"response": answer})
    text = prompt.messages[0].parts[0]
    assert isinstance(text, Text)
    closing = re.findall(r"</answer [0-9a-f]{16}>", text.text)
    assert len(set(closing)) == 1 and text.text.count(closing[-1]) == 1
    assert "[[" not in text.text


def test_a_case_holds_the_answers_of_several_requests_and_the_question_where_its_media_are_shown() -> None:
    rubric = Rubric(system="", user="{response}", values={"hint": "h"}, untrusted=("hint",))
    one = case(rubric, *ANSWER, question=(Text("why?"), picture(3)))
    assert contents(one) == {"hint": "h", "response": (ANSWER[0], ANSWER[2])}
    seeing = Rubric(system="", user="{response}", media=True, question_media=True)
    assert contents(case(seeing, *ANSWER, question=(Text("why?"), picture(3)))) == {
        "response": ANSWER,
        "question": (Text("why?"), picture(3)),
    }
    two = Response(answers=(Response(parts=(Text("a"),)), Response(parts=(Text("b"),))))
    from msgspec.structs import replace

    assert contents(replace(one, response=two))["response_1"] == (Text("b"),)
    assert answer_parts(two, media=True) == ()
