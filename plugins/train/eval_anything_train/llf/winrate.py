"""How often refined answers are better than first ones: Table 3 of Align Anything.

A judge is shown prompt and both answers, in both orders, because judges favour a position. An answer wins
where it is preferred in both; everything else is a tie, which counts half. The judge is a model by its spec
("openai/gpt-4o"), or an offline judge by its name ("reference"), which rates each answer by itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

import eval_anything
from eval_anything.errors import UsageError
from eval_anything.judge import Case, Judge, Rubric
from eval_anything.judges.prompting import compose
from eval_anything.registry import Plugins
from eval_anything.run.run import apart
from eval_anything.stats.aggregate import Means
from eval_anything.stats.cell import Verdict
from eval_anything.stats.metrics import evaluate
from eval_anything.values import File, Message, Params, Reference, Response, Sample, ScoreState, Text
from eval_anything_train.checkpoint import write_file
from eval_anything_train.llf.answers import stage_seed
from eval_anything_train.llf.templates import Templates
from eval_anything_train.values import Answer, text_of

Side = Literal["refined", "first"]
SIDES: tuple[Side, ...] = get_args(Side)
ORDERS: tuple[tuple[Side, Side], ...] = (("refined", "first"), ("first", "refined"))
"""Who is shown as response A, who as response B."""
RESULT, VERDICTS = "winrate.json", "verdicts.jsonl"
_VERDICT = re.compile(r"\[\[([ABC])\]\]")
_EVEN = 0.5


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """Two answers to one prompt."""

    id: str
    messages: tuple[Message, ...]
    refined: Answer
    first: Answer
    references: tuple[Reference, ...] = ()
    """For judges that compare with what is right."""


class Comparing(msgspec.Struct, frozen=True, kw_only=True):
    """How a judge is asked."""

    options: Mapping[str, Any] = {}
    """Of the judging model, as -J of `run`."""
    seed: int = 0
    attempts: int = 3
    """How often a reply without a verdict is asked for."""
    templates: str = ""
    """Folder whose compare.md replaces the prompt."""
    concurrency: int = 32
    cache: str = ""
    error_budget: float = 0.1
    ask: bool = True
    """False: nothing is asked; what `out` holds is read."""
    progress: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One contest, judged."""

    id: str
    value: float | None
    """1 where the refined answer is better, 0 where the first one is, 0.5 for a tie; None: no verdict."""
    state: ScoreState = "scored"
    reason: str = ""
    told: dict[str, str | float | None] = {}
    """What was preferred in each order ("refined first": "first"), or how each answer was rated."""
    replies: dict[str, str] = {}
    """The judge's words in each order."""


class WinRate(msgspec.Struct, frozen=True, kw_only=True):
    """What all contests say."""

    judge: str
    n: int
    missing: dict[str, int]
    """Contests without a verdict, by state; they are in no rate."""
    wins: int
    ties: int
    losses: int
    win_rate: float | None
    """Wins and half the ties, as a share of all contests with a verdict; None where there is none."""
    low: float | None
    high: float | None
    """95 % bootstrap interval of it."""
    shown_first: float | None = None
    """How often the answer that was shown first was preferred, of all times that one was; None: nobody was
    shown an order."""


def winrate(
    contests: Sequence[Contest],
    judge: str,
    out: str | Path,
    how: Comparing = Comparing(),  # noqa: B008
) -> tuple[WinRate, list[Outcome]]:
    """Have `judge` compare the answers of each contest; the result, and what became of each.

    A judging model's replies lie in `out` and are not asked for twice; the result is written there as
    `winrate.json`, with `verdicts.jsonl`. Raises as `eval_anything.respond` does, and UsageError for a judge
    that cannot compare.
    """
    outcomes = _by_model(contests, judge, Path(out), how) if "/" in judge else _offline(contests, judge)
    found = _summed(judge, outcomes, how.seed)
    if how.ask:
        Path(out).mkdir(parents=True, exist_ok=True)
        write_file(Path(out) / VERDICTS, b"".join(msgspec.json.encode(one) + b"\n" for one in outcomes))
        write_file(Path(out) / RESULT, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return found, outcomes


def preferred(outcomes: Sequence[Outcome]) -> frozenset[str]:
    """Ids of the contests that the refined answer wins."""
    return frozenset(one.id for one in outcomes if one.value == 1)


def _summed(judge: str, outcomes: Sequence[Outcome], seed: int) -> WinRate:
    rows = [
        Verdict(id=one.id, repeat=0, group="", cluster="", state=one.state, value=one.value)
        for one in outcomes
    ]
    rate = evaluate(Means(overall="win rate"), rows, "exclude", seed)[0]
    values = [one.value for one in outcomes]
    preferences = [(order, side) for one in outcomes for order, side in one.told.items() if side in SIDES]
    at_first = sum(order == f"{side} first" for order, side in preferences)
    return WinRate(
        judge=judge,
        n=len(outcomes),
        missing=rate.n_missing,
        wins=values.count(1.0),
        ties=values.count(_EVEN),
        losses=values.count(0.0),
        win_rate=rate.value,
        low=rate.low,
        high=rate.high,
        shown_first=at_first / len(preferences) if preferences else None,
    )


def verdict(reply: str) -> str | None:
    """The one letter that `reply` decides for; None where there is none, or several."""
    found = set(_VERDICT.findall(reply))
    return found.pop() if len(found) == 1 else None


def _by_model(contests: Sequence[Contest], judge: str, out: Path, how: Comparing) -> list[Outcome]:
    templates = Templates(how.templates)
    waiting = {_key(contest.id, order): (contest, order) for contest in contests for order in ORDERS}
    replies: dict[str, Response] = {}
    for attempt in range(how.attempts):
        asked = [_sample(key, *waiting[key], templates) for key in waiting]
        found = eval_anything.respond(
            judge,
            asked,
            out=out / f"judge-{attempt + 1}",
            # The likeliest reply first; where that is no verdict, it would only come again.
            params=Params(temperature=0.0 if attempt == 0 else 1.0, max_tokens=1024),
            progress=how.progress,
            model_options=dict(how.options),
            seed=stage_seed(how.seed, f"compare-{attempt}"),
            concurrency=how.concurrency,
            cache=how.cache or None,
            error_budget=how.error_budget,
            identity={"compare": templates.digest("compare")},
            ask=how.ask,
        )
        replies |= {one.sample.id: one.response for one in found}
        waiting = {
            key: one
            for key, one in waiting.items()
            if key in replies and replies[key].state != "error" and verdict(replies[key].text) is None
        }
        if not waiting:
            break
    return [_outcome(contest.id, replies, how.attempts) for contest in contests]


def _key(id: str, order: tuple[Side, Side]) -> str:
    return f"{id}/{order[0]} first"


def _sample(key: str, contest: Contest, order: tuple[Side, Side], templates: Templates) -> Sample:
    both = {"refined": contest.refined, "first": contest.first}
    shown = {"first": both[order[0]], "second": both[order[1]], "prompt": _asked(contest.messages)}
    return Sample(id=key, messages=compose("", templates.texts["compare"], {}, shown).messages)


def _asked(messages: Sequence[Message]) -> tuple[Text | File, ...]:
    """The words and media of a conversation; with several turns, who speaks."""
    found: list[Text | File] = []
    for message in messages:
        if len(messages) > 1:
            found.append(Text(f"{message.role}:"))
        found += [part for part in message.parts if isinstance(part, Text | File)]
    return tuple(found)


def _outcome(id: str, replies: Mapping[str, Response], attempts: int) -> Outcome:
    told: dict[str, str | float | None] = {}
    held: dict[str, str] = {}
    failed: list[tuple[ScoreState, str]] = []
    for order in ORDERS:
        name, reply = f"{order[0]} first", replies.get(_key(id, order))
        letter = None if reply is None else verdict(reply.text)
        told[name] = {"A": order[0], "B": order[1], "C": "tie", None: None}[letter]
        held[name] = "" if reply is None else reply.text
        if reply is None or reply.state == "error":
            fault = "" if reply is None or reply.fault is None else reply.fault.message
            failed.append(("judge_error", fault or "not asked"))
        elif letter is None:
            failed.append(("unparsed", f"no verdict in {attempts} attempts"))
    if failed:
        state, reason = failed[0]
        return Outcome(id=id, value=None, state=state, reason=reason, told=told, replies=held)
    preferences = set(told.values())
    value = 1.0 if preferences == {"refined"} else 0.0 if preferences == {"first"} else _EVEN
    return Outcome(id=id, value=value, told=told, replies=held)


def _offline(contests: Sequence[Contest], name: str) -> list[Outcome]:
    judge = offline_judge(name)
    return apart(lambda: asyncio.run(_rated(contests, judge)))


def offline_judge(name: str) -> Judge:
    """The judge called `name`, which asks no model. Raises UnknownName or UsageError."""
    kind = Plugins().judges.get(name)
    if kind.needs_model:
        raise UsageError(f"judge {name!r} needs a model: name that (provider/name)")
    judge: Judge = kind(kind.Options())
    return judge


async def _rated(contests: Sequence[Contest], judge: Judge) -> list[Outcome]:
    outcomes = []
    for contest in contests:
        scores = {}
        for side in ("refined", "first"):
            sample = Sample(id=contest.id, messages=contest.messages, references=contest.references)
            response = Response(parts=(Text(text_of(getattr(contest, side))),))
            rubric = Rubric(system="", user="", low=0, high=1)
            scores[side] = await judge.score(Case(sample=sample, response=response, rubric=rubric))
        refined, first = scores["refined"], scores["first"]
        told: dict[str, str | float | None] = {side: score.value for side, score in scores.items()}
        if refined.value is None or first.value is None:
            bad = refined if refined.value is None else first
            outcomes.append(Outcome(id=contest.id, value=None, state=bad.state, reason=bad.reason, told=told))
        else:
            value = _EVEN if refined.value == first.value else float(refined.value > first.value)
            outcomes.append(Outcome(id=contest.id, value=value, told=told))
    return outcomes
