"""Panels: members asked over real sockets as they would be alone, their verdicts combined."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from judge_lab import ScriptedJudge, case, endpoint, score
from servers.openai_server import OpenAIServer, Script, error, in_thread

from eval_anything.errors import UnknownName, UsageError
from eval_anything.judge import Case, Judge, PairRubric, Rubric
from eval_anything.judges.pair import PairJudge, PairOptions
from eval_anything.judges.panel import LEFT_OUT, PanelJudge, PanelOptions, majority
from eval_anything.judges.rubric import RubricJudge, RubricOptions
from eval_anything.run.assembly import assemble
from eval_anything.run.config import make_config
from eval_anything.run.directory import planned
from eval_anything.run.run import Outcome, run
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ScoreRow
from eval_anything.values import Score, Text

RUBRIC = Rubric(system="Rate. Rating: [[n]]", user="{response}", attempts=1)
PAIR = PairRubric(system="Rate.", user="{first}\n{second}", baseline="Two.", attempts=1, parse="strict")


@pytest.fixture
def go(text_task: str, tmp_path: Path) -> Any:
    """Run text_task judged by a panel, each member a server of its own with the given script."""

    def go(*scripts: Script, n: int = 4, out: str = "run", **options: Any) -> tuple[Outcome, list[int]]:
        with ExitStack() as stack:
            servers = [stack.enter_context(in_thread(OpenAIServer(script))) for script in scripts]
            addresses = {f"{i}.base_url": server.url for i, server in enumerate(servers, 1)}
            names = ",".join(f"openai/m{i}" for i in range(1, len(servers) + 1))
            settings = {"judges": names, "backoff_s": 0.001, "retries": 1, "attempts": 1, **addresses}
            config = make_config(
                {
                    "model": "fake/echo",
                    "tasks": ["text_task"],
                    "data": f"synthetic:n={n}",
                    "include": [text_task],
                    "judge": "panel",
                    "judge_options": settings | options,
                    "out": tmp_path / out,
                    "error_budget": 1,
                }
            )
            return run(config, progress=None), [server.count for server in servers]

    return go


def scores(outcome: Outcome) -> list[Score]:
    return [row.score for row in read_rows(outcome.folder / "journal.jsonl") if isinstance(row, ScoreRow)]


def rated(*ratings: int) -> list[str]:
    return [f"Rating: [[{n}]]" for n in ratings]


@pytest.mark.parametrize(("combine", "expected"), [("mean", 16 / 3), ("median", 6), ("majority", 16 / 3)])
def test_each_member_is_asked_at_its_own_address_and_kept(go: Any, combine: str, expected: float) -> None:
    outcome, asked = go(*rated(2, 6, 8), combine=combine)
    assert asked == [4, 4, 4]
    found = scores(outcome)
    assert [one.value for one in found] == pytest.approx([expected] * 4)
    assert [m["score"] for m in found[0].details["members"]] == [2, 6, 8]
    assert found[0].details["members"][1]["replies"] == ["Rating: [[6]]"]
    assert found[0].usage.requests == 3
    assert found[0].components[LEFT_OUT] == 0
    label = f"panel({combine}):rubric:openai/m1+rubric:openai/m2+rubric:openai/m3"
    assert outcome.results.tasks[0].judge == found[0].judge == label
    assert not outcome.results.tasks[0].protocol_judge


def test_a_member_without_a_verdict_is_left_out_and_counted(go: Any) -> None:
    outcome, asked = go("Rating: [[4]]", error(500, "down"), "no idea")
    assert asked == [4, 8, 4]  # the one that is down was asked again, as alone
    one = scores(outcome)[0]
    assert (one.state, one.value, one.components[LEFT_OUT]) == ("scored", 4, 2)
    assert [m["state"] for m in one.details["members"]] == ["scored", "judge_error", "unparsed"]
    assert outcome.results.tasks[0].figures[LEFT_OUT] == 2


def test_fewer_verdicts_than_needed_are_none_and_outages_are_judged_again(go: Any) -> None:
    outcome, _ = go("Rating: [[4]]", error(500, "down"), least=2)
    assert {one.state for one in scores(outcome)} == {"judge_error"}
    assert "1 of 2 verdicts, 2 needed" in scores(outcome)[0].reason
    again = PanelJudge(PanelOptions(least=2))
    again.members = tuple(_rubric(reply) for reply in ("Rating: [[4]]", "no idea"))
    found = score(again, case(RUBRIC, Text("One.")))
    assert (found.state, found.value) == ("unparsed", None)


def test_an_outage_is_over_when_the_run_goes_on(go: Any, text_task: str, tmp_path: Path) -> None:
    down = {"on": True}

    def sometimes(call: Any) -> Any:
        return error(500, "down") if down["on"] else "Rating: [[8]]"

    with in_thread(OpenAIServer("Rating: [[4]]")) as one, in_thread(OpenAIServer(sometimes)) as other:
        options = {"judges": ["openai/a", "openai/b"], "least": 2, "retries": 0}
        options |= {"1.base_url": one.url, "2.base_url": other.url}
        values = {"model": "fake/echo", "tasks": ["text_task"], "data": "synthetic:n=3", "judge": "panel"}
        values |= {"include": [text_task], "out": tmp_path / "run", "error_budget": 1}
        config = make_config({**values, "judge_options": options})
        assert run(config, progress=None).results.tasks[0].counts.scored == 0
        down["on"] = False
        done = run(config, progress=None).results.tasks[0]
    assert (done.counts.scored, done.headline.value) == (3, 6)


def test_majority_is_the_value_given_most_often_and_a_draw_lies_between() -> None:
    assert majority([3, 7, 7]) == 7
    assert majority([1, 0]) == 0.5
    assert majority([2, 2, 9, 9, 5]) == 5.5


def _rubric(reply: str) -> Judge:
    return RubricJudge(RubricOptions(), endpoint(ScriptedJudge(lambda _: reply)))


def test_components_are_combined_like_the_value() -> None:
    panel = PanelJudge(PanelOptions(combine="median"))
    replies = ("2 8", "4 6", "5 5")
    panel.members = tuple(
        PairJudge(PairOptions(), endpoint(ScriptedJudge(lambda _, reply=reply: reply))) for reply in replies
    )
    found = score(panel, case(PAIR, Text("One.")))
    assert (found.value, found.components["reference"], found.components["win"]) == (6, 4, 1)
    assert [m["components"]["win"] for m in found.details["members"]] == [1, 1, 0.5]


class Broken(Judge):
    name = "broken"
    summary = "has a bug"

    async def score(self, case: Case) -> Score:
        raise ZeroDivisionError("oops")


def test_a_bug_of_one_member_costs_its_verdict_alone() -> None:
    panel = PanelJudge(PanelOptions())
    panel.members = (_rubric("Rating: [[3]]"), Broken(None))
    found = score(panel, case(RUBRIC, Text("One.")))
    assert found.value == 3
    assert found.details["members"][1]["reason"] == "ZeroDivisionError: oops"


class Itemised(Judge):
    name = "itemised"
    summary = "gives what a metric of all scores is made of"

    async def score(self, case: Case) -> Score:
        return Score(value=1, state="scored", items={"bleu": [1]})


def test_judgements_that_only_count_together_are_not_combined() -> None:
    panel = PanelJudge(PanelOptions())
    panel.members = (_rubric("Rating: [[3]]"), Itemised(None))
    with pytest.raises(UsageError, match="cannot be combined"):
        score(panel, case(RUBRIC, Text("One.")))


def fingerprint(text_task: str, **options: Any) -> str:
    values = {"model": "fake/echo", "tasks": ["text_task"], "data": "synthetic:n=2", "include": [text_task]}
    parts = assemble(make_config({**values, "judge": "panel", "judge_options": options}))
    return planned(parts).tasks[0].fingerprint


def test_members_and_how_they_are_combined_are_in_the_fingerprint(text_task: str) -> None:
    both = "fake/rater,always_one"
    first = fingerprint(text_task, judges=both)
    assert fingerprint(text_task, judges=["fake/rater", "always_one"]) == first
    assert fingerprint(text_task, judges=both, concurrency=3) == first
    others: list[dict[str, Any]] = [
        {"judges": "fake/rater"},
        {"judges": both, "combine": "median"},
        {"judges": both, "1.seed": 2},
        {"judges": both, "least": 2},
    ]
    found = [fingerprint(text_task, **options) for options in others]
    assert len({first, *found}) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name its members"),
        ({"judges": "fake/rater", "least": 2}, "can never be"),
        ({"judges": "fake/rater,fake/rater"}, "is in it twice"),
        ({"judges": "fake/rater,panel"}, "name its members|is a panel itself"),
        ({"judges": "fake/rater,rubric"}, "needs a model"),
        ({"judges": "fake/rater", "combine": "best"}, "combine"),
    ],
)
def test_what_is_no_panel_is_refused_before_anything_is_asked(
    text_task: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        fingerprint(text_task, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"judges": "fake/ratter"}, "did you mean 'rater'"),
        ({"judges": "refrence,fake/rater"}, "did you mean 'reference'"),
        ({"judges": "fake/rater", "atempts": 2}, "did you mean 'attempts'"),
        ({"judges": "fake/rater", "text_task:atempts": 2}, "did you mean 'attempts'"),
        ({"judges": "fake/rater", "2.seed": 2}, "unknown option '2.seed'"),
        ({"judges": "fake/rater", "text_task:1.sed": 2}, "did you mean '1.seed'"),
    ],
)
def test_names_that_nobody_knows_are_refused_with_the_nearest(
    text_task: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnknownName, match=message):
        fingerprint(text_task, **options)


def test_a_panel_for_all_tasks_leaves_those_alone_that_no_model_judges(text_task: str) -> None:
    values = {"model": "fake/echo", "tasks": ["text_task", "amg_synergy"], "data": "synthetic:n=2"}
    options = {"judges": "fake/rater", "combine": "median"}
    config = make_config({**values, "include": [text_task], "judge": "panel", "judge_options": options})
    labels = [part.judge.label for part in assemble(config).tasks if part.judge is not None]
    assert labels == ["panel(median):rubric:fake/rater", "synergy-embedded"]
