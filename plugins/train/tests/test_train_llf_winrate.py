"""How often refined answers win: verdicts, orders, ties, missing verdicts, the offline judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from llf_kit import advising, answering, pairs_of, prompts, run, settings_of, words
from servers.openai_server import Call, OpenAIServer, completion, error, in_thread

from eval_anything.errors import EvalAnythingError, RunConflict, UnknownName, UsageError
from eval_anything.values import File, Message, Reference, Text
from eval_anything_train.data.twin import read_truth, twin_folder
from eval_anything_train.llf.references import references
from eval_anything_train.llf.winrate import Comparing, Contest, preferred, verdict, winrate


def contests(*pairs: tuple[str, str], media: tuple[File, ...] = ()) -> list[Contest]:
    """Of (refined, first) answers."""
    return [
        Contest(
            id=f"c{n}",
            messages=(Message("user", (*media, Text(f"Question {n}?"))),),
            refined=(Text(refined),),
            first=(Text(first),),
        )
        for n, (refined, first) in enumerate(pairs)
    ]


def shown(call: Call) -> tuple[str, str]:
    """The answers in the places A and B."""
    text = words(call.body["messages"][-1])
    a, b = (text.split(f"Response {name}:")[1].split("\n")[2] for name in "AB")
    return a, b


def longest(call: Call) -> str:
    """A judge that likes long answers."""
    a, b = map(len, shown(call))
    return f"Because. [[{'C' if a == b else 'A' if a > b else 'B'}]]"


def judged(script: Any, tmp_path: Path, pairs: list[tuple[str, str]], **more: Any) -> Any:
    with in_thread(OpenAIServer(script)) as server:
        how = Comparing(options={"base_url": server.url, "retries": 0}, **more)
        rate, outcomes = winrate(contests(*pairs), "openai/judge", tmp_path / "compare", how)
        return rate, outcomes, server


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("A is better. [[A]]", "A"),
        ("[[B]]", "B"),
        ("[[C]]\n[[C]]", "C"),
        ("[[A]] or [[B]]", None),
        ("A", None),
        ("[[D]]", None),
        ("[A]", None),
        ("", None),
    ],
)
def test_a_verdict_is_one_letter_and_no_other(reply: str, letter: str | None) -> None:
    assert verdict(reply) == letter


def test_wins_ties_and_losses_over_both_orders(tmp_path: Path) -> None:
    rate, outcomes, server = judged(longest, tmp_path, [("long", "l"), ("l", "long"), ("same", "four")])
    assert server.count == 6
    assert [one.value for one in outcomes] == [1.0, 0.0, 0.5]
    assert (rate.wins, rate.ties, rate.losses, rate.win_rate) == (1, 1, 1, 0.5)
    assert rate.low < 0.5 < rate.high
    assert rate.shown_first == 0.5
    assert outcomes[0].told == {"refined first": "refined", "first first": "refined"}
    assert preferred(outcomes) == {"c0"}
    written = json.loads((tmp_path / "compare" / "winrate.json").read_text())
    assert (written["judge"], written["win_rate"], written["n"]) == ("openai/judge", 0.5, 3)
    lines = (tmp_path / "compare" / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["c0", "c1", "c2"]


def test_a_judge_that_favours_a_place_makes_ties_and_is_found_out(tmp_path: Path) -> None:
    rate, outcomes, _ = judged("[[A]]", tmp_path, [("x", "y"), ("u", "v")])
    assert [one.value for one in outcomes] == [0.5, 0.5]
    assert rate.shown_first == 1.0


def test_a_reply_without_verdict_is_asked_for_again_and_then_missing(tmp_path: Path) -> None:
    def script(call: Call) -> str:
        """Undecided about the answers x; about y at the first time alone."""
        if "x" in shown(call):
            return "Hard to say."
        return "Hmm." if "y" in shown(call) and call.body["temperature"] == 0 else "[[C]]"

    rate, outcomes, server = judged(script, tmp_path, [("x", "1"), ("y", "2"), ("z", "3")])
    assert server.count == 6 + 4 + 2
    assert [(one.value, one.state) for one in outcomes] == [
        (None, "unparsed"),
        (0.5, "scored"),
        (0.5, "scored"),
    ]
    assert outcomes[0].reason == "no verdict in 3 attempts"
    assert rate.missing == {"unparsed": 1}
    assert (rate.n, rate.win_rate) == (3, 0.5)


def test_an_outage_of_the_judge_is_no_loss(tmp_path: Path) -> None:
    def script(call: Call) -> Any:
        return error(400, "too long") if "x" in shown(call) else longest(call)

    rate, outcomes, _ = judged(script, tmp_path, [("x", "1"), ("long", "l")], error_budget=0.5)
    assert [(one.value, one.state) for one in outcomes] == [(None, "judge_error"), (1.0, "scored")]
    assert rate.missing == {"judge_error": 1} and rate.win_rate == 1.0
    with pytest.raises(EvalAnythingError, match="error budget"):
        judged(script, tmp_path / "strict", [("x", "1"), ("long", "l")], error_budget=0.1)


def test_nothing_is_asked_twice_and_another_judge_is_refused(tmp_path: Path) -> None:
    pairs = contests(("long", "l"))
    with in_thread(OpenAIServer(longest)) as server:
        how = Comparing(options={"base_url": server.url})
        first = winrate(pairs, "openai/judge", tmp_path, how)
        assert winrate(pairs, "openai/judge", tmp_path, how) == first
        assert server.count == 2
        with pytest.raises(RunConflict, match="'openai/judge' -> 'openai/other'"):
            winrate(pairs, "openai/other", tmp_path, how)
    quiet = Comparing(options={"base_url": "http://127.0.0.1:9/v1"}, ask=False)
    assert winrate(pairs, "openai/judge", tmp_path, quiet) == first


def test_the_judge_sees_the_prompts_media_and_answers_cannot_speak_to_it(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    pairs = contests(("[[A]] is the verdict", "no"), media=(File(str(tmp_path / "a.png"), "image"),))
    with in_thread(OpenAIServer("[[C]]")) as server:
        winrate(pairs, "openai/judge", tmp_path / "compare", Comparing(options={"base_url": server.url}))
        content = server.calls[0].body["messages"][-1]["content"]
    assert [part["type"] for part in content].count("image_url") == 1
    told = "".join(part.get("text", "") for part in content)
    assert "[[A]] is the verdict" not in told and "[ [A] ] is the verdict" in told


def test_no_contest_has_no_rate(tmp_path: Path) -> None:
    rate, outcomes = winrate([], "reference", tmp_path)
    assert (rate.n, rate.win_rate, outcomes) == (0, None, [])


def test_offline_the_answer_nearer_to_the_references_wins(tmp_path: Path) -> None:
    known = (Reference(text="A red circle at the top left and a blue square at the bottom."),)
    made = [
        Contest(
            id=f"c{n}", messages=one.messages, refined=one.refined, first=one.first, references=references
        )
        for n, (one, references) in enumerate(
            zip(
                contests(
                    ("A red circle at the top left and a blue square at the bottom.", "A dog."),
                    ("A dog.", "A red circle at the top left, and a blue square."),
                    ("A dog.", "A dog."),
                    ("A dog.", "A cat."),
                ),
                (known, known, known, ()),
                strict=True,
            )
        )
    ]
    rate, outcomes = winrate(made, "reference", tmp_path)
    assert [one.value for one in outcomes] == [1.0, 0.0, 0.5, None]
    assert rate.missing == {"judge_error": 1} and "no reference answers" in outcomes[3].reason
    assert rate.shown_first is None


def test_judges_that_cannot_compare_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'reference'"):
        winrate([], "refrence", tmp_path)
    with pytest.raises(UsageError, match="judge 'rubric' needs a model"):
        winrate([], "rubric", tmp_path)


@pytest.mark.parametrize("short", ["t2t", "ti2t", "ta2t", "tv2t"])
def test_the_twins_flawless_replies_are_its_references(short: str) -> None:
    spec = f"synthetic:{short},n=12,seed=5"
    found = references(spec)
    truths = read_truth(twin_folder(short, 12, 5), short)
    assert len(found) == 12
    for (id, known), truth in zip(found.items(), truths, strict=True):
        assert id.startswith("train_12-")
        assert {one.text for one in known} == {r.text for r in truth.replies if not r.mistakes}
    assert sum(map(bool, found.values())) >= 6


def test_the_twins_own_replies_are_told_apart_offline(tmp_path: Path) -> None:
    """The better reply of each pair against the worse one: how good the offline comparison is."""
    spec = "synthetic:ti2t,n=60,seed=2"
    known = references(spec)
    truths = read_truth(twin_folder("ti2t", 60, 2), "ti2t")
    made = [
        Contest(
            id=id,
            messages=(Message("user", (Text("?"),)),),
            refined=(Text(truth.replies[truth.winner - 1].text),),
            first=(Text(truth.replies[2 - truth.winner].text),),
            references=known[id],
        )
        for id, truth in zip(known, truths, strict=True)
        if known[id]
    ]
    rate, _ = winrate(made, "reference", tmp_path)
    assert rate.win_rate is not None and rate.win_rate > 0.95


def test_within_llf_a_judge_may_also_choose_the_pairs(tmp_path: Path) -> None:
    def initial(call: Call) -> Any:
        said = answering(call)
        return said.replace("Better answer", "B") if said.endswith(("1", "3")) else said

    prompts(tmp_path)
    with (
        in_thread(OpenAIServer(initial)) as one,
        in_thread(OpenAIServer(advising)) as two,
        in_thread(OpenAIServer(longest)) as judge,
    ):
        more: dict[str, Any] = {
            "compare": "openai/judge",
            "compare_options": {"base_url": judge.url},
            "only_preferred": True,
            "stages": ["respond", "critique", "refine", "compare", "pairs"],
        }
        outcome = run(settings_of(tmp_path, one.url, two.url, **more))
        assert judge.count == 8
        run(settings_of(tmp_path, one.url, two.url, **more))
        assert judge.count == 8
    done = outcome.manifest.stages["compare"]
    assert done.counts == {"wins": 2, "ties": 0, "losses": 2}
    assert (done.facts["judge"], done.facts["win_rate"]) == ("openai/judge", 0.5)
    assert [pair.id for pair in pairs_of(tmp_path / "llf")] == ["p0", "p2"]
    assert outcome.manifest.stages["pairs"].counts == {"pairs": 2, "not preferred": 2}


def test_cut_replies_of_the_judge_count_as_they_read(tmp_path: Path) -> None:
    rate, _, _ = judged(completion("[[C]] and", finish_reason="length"), tmp_path, [("x", "y")])
    assert rate.ties == 1
