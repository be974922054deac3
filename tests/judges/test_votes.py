from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.judge import Case, Rubric
from eval_anything.judges.votes import ALPHAS, VotesJudge, alphas, combination, entropy
from eval_anything.models.base import NoOptions
from eval_anything.values import (
    MODALITIES,
    Artifact,
    Audio,
    Image,
    Message,
    Response,
    Sample,
    Score,
    Text,
    Video,
)

VOTES = {"t": 0.08, "i": 0.12, "a": 0.0, "ta": 0.04, "ti": 0.4, "ia": 0.0, "tia": 0.36}
TEXT = Text("A red circle.")
IMAGE, SOUND, CLIP = (
    kind(Artifact(sha256="0" * 64, mime=mime, bytes_size=3))
    for kind, mime in ((Image, "image/png"), (Audio, "audio/wav"), (Video, "video/mp4"))
)


def judged(*parts: Any, votes: Any = VOTES, **fields: Any) -> Score:
    sample = Sample(
        id="s", messages=(Message("user", (Text("q"),)),), metadata={"selection": votes} if votes else {}
    )
    case = Case(
        sample=sample, response=Response(parts=parts, **fields), rubric=Rubric(system="", user="{response}")
    )
    return asyncio.run(VotesJudge(NoOptions()).score(case))


@pytest.mark.parametrize(
    ("parts", "chosen", "value"),
    [
        ((TEXT,), "t", 0.08),
        ((IMAGE,), "i", 0.12),
        ((SOUND,), "a", 0.0),
        ((TEXT, SOUND), "ta", 0.04),
        ((IMAGE, TEXT), "ti", 0.4),
        ((SOUND, IMAGE), "ia", 0.0),
        ((TEXT, IMAGE, SOUND), "tia", 0.36),
        ((), "t", 0.08),
        ((Text("  \n"),), "t", 0.08),
        ((Text(" "), IMAGE), "i", 0.12),
        ((TEXT, CLIP), "tv", 0.0),
        ((CLIP,), "v", 0.0),
        ((TEXT, IMAGE, SOUND, CLIP), "tiav", 0.0),
    ],
)
def test_the_value_is_the_share_of_votes_for_what_was_chosen(
    parts: tuple[Any, ...], chosen: str, value: float
) -> None:
    score = judged(*parts)
    assert (score.value, score.state, score.details["chosen"]) == (value, "scored", chosen)
    assert score.details["best"] == "ti"
    assert score.details["regret"] == pytest.approx(0.4 - value)
    shares = {k: v for k, v in score.components.items() if k.startswith("share of the choices/")}
    assert math.fsum(shares.values()) == 1
    assert shares["share of the choices/" + (chosen if chosen in VOTES else "other")] == 1


def test_what_was_chosen_counts_also_where_the_tool_then_failed() -> None:
    assert judged(TEXT, selected=("text", "image")).details["chosen"] == "ti"


def test_votes_for_video_count_where_there_are_any() -> None:
    assert judged(TEXT, CLIP, votes={"t": 0.5, "tv": 0.5}).value == 0.5


def test_without_votes_there_is_no_score() -> None:
    score = judged(TEXT, votes=None)
    assert (score.value, score.state, score.reason) == (
        None,
        "judge_error",
        "sample s: no votes to compare with",
    )


def test_all_three_give_each_pair_a_third() -> None:
    assert alphas("tia", 0.36) == dict.fromkeys(ALPHAS, pytest.approx(0.12))
    assert alphas("ta", 0.04) == {"alpha text-image": 0, "alpha text-audio": 0.04, "alpha image-audio": 0}
    assert alphas("ti", 0.4)["alpha text-image"] == 0.4
    assert alphas("ia", 0.1)["alpha image-audio"] == 0.1
    for alone in ("t", "i", "a", "tv"):
        assert set(alphas(alone, 0.5).values()) == {0.0}


def test_entropy() -> None:
    assert entropy({"t": 1.0, "i": 0.0}) == 0.0
    assert entropy({"t": 0.5, "i": 0.5}) == pytest.approx(1.0)
    assert entropy(dict.fromkeys(VOTES, 1 / 7)) == pytest.approx(math.log2(7))
    assert entropy({"t": 0.5, "i": 0.25, "a": 0.25}) == pytest.approx(1.5)
    assert entropy({"t": 0.49, "i": 0.49}) == pytest.approx(1.0)


@given(st.permutations(MODALITIES), st.integers(0, 4))
def test_the_order_of_modalities_never_matters(order: list[Any], n: int) -> None:
    found = combination(tuple(order[:n]))
    assert found == combination(tuple(sorted(order[:n])))
    assert len(found) == max(n, 1)
    assert list(found) == sorted(found, key="tiav".index)
