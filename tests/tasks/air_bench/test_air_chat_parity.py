"""AIR-Bench chat: the same recorded judge replies through our pipeline and through the published arithmetic.

What the published scripts do is written down here once more, plainly and from the facts, and shares nothing
with our parsing or aggregation. How the corrected profile reads each reply was decided by hand.
"""

import json
import math
import re
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
from servers.openai_server import Call, OpenAIServer, in_thread

import eval_anything
from eval_anything.results.values import TaskResult
from eval_anything.tasks.air_bench.twin import write_chat

Pair = tuple[float, float]
REPLIES: dict[str, Pair | None] = {
    "8 7": (8, 7),
    "10 1": (10, 1),
    "3 9": (3, 9),
    "6 6": (6, 6),
    "1 10": (1, 10),
    "5 4\n": (5, 4),
    "  7 8  ": (7, 8),
    "8, 7": (8, 7),
    "8  7": (8, 7),
    "8\t7": (8, 7),
    "9 \t6": (9, 6),
    "\n\n4 5": (4, 5),
    "7.5 6": (7.5, 6),
    "8 7.": (8, 7),
    "**8 7**": (8, 7),
    "\uff18 \uff17": (8, 7),  # full-width digits
    "8 7\nThe first is better.": (8, 7),
    "8\n7": None,
    "8 7\n6 9": None,
    "+8 7": None,
    "1_0 9": None,
    "0 5": None,
    "-3 5": None,
    "11 5": None,
    "9 12": None,
    "8": None,
    "8 7 6": None,
    "8/10 7/10": None,
    "Scores: 8 7": None,
    "Scores: 8": None,
    "good 4 things": None,
    "": None,
    "\u516b \u4e03": None,  # eight seven, in Chinese
    "eight seven": None,
    "I am sorry, I cannot rate these answers.": None,
}
"""Each reply, and the verdict that the corrected profile finds in it."""
CLEAN = ("8 7", "10 1", "3 9", "6 6", "1 10", "5 4\n", "  7 8  ")
CATEGORY = {
    "speech_QA": "speech",
    "speech_dialogue_QA": "speech",
    "sound_QA": "sound",
    "sound_generation_QA": "sound",
    "music_QA": "music",
    "music_generation_analysis_QA": "music",
    "speech_and_sound_QA": "speech_and_sound_QA",
    "speech_and_music_QA": "speech_and_music_QA",
}
SIZE = 132
ATTEMPTS = 5
Recorded = dict[tuple[int, str], list[str]]
"""By item and who is shown first: the judge's replies, attempt by attempt."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("air") / "chat"
    write_chat(folder, SIZE, 3)
    return folder


def rows_of(twin: Path) -> list[dict[str, Any]]:
    return json.loads((twin / "Chat" / "Chat_meta.json").read_text())  # type: ignore[no-any-return]


def recorded(seed: int) -> Recorded:
    """Every reply occurs, and in every category there is a verdict in either order."""
    rng = Random(seed)
    odd = list(REPLIES)
    found = {}
    for i in range(SIZE):
        for first in ("reference", "response"):
            found[i, first] = [rng.choice(CLEAN if rng.random() < 0.5 else odd) for _ in range(ATTEMPTS)]
    for first in ("reference", "response"):  # the last attempt of three, and of five
        found[40, first] = ["8", "", "10 1", "1 10", "6 6"]
        found[41, first] = ["8", "", "11 5", "9 12", "3 9"]
    for i, reply in enumerate(odd):
        found[i, "reference"][0] = found[SIZE - 1 - i, "response"][0] = reply
    return found


class Judge:
    """Returns the recorded reply for whichever item, order and attempt it is asked about."""

    def __init__(self, replies: Recorded) -> None:
        self.replies = replies
        self.asked: Counter[tuple[int, str]] = Counter()
        self.temperatures: dict[int, set[float | None]] = defaultdict(set)
        self.max_tokens: set[int | None] = set()

    def __call__(self, call: Call) -> str:
        (message,) = call.body["messages"]
        text = message["content"]
        shown = dict(re.findall(r"<(first|second) \w+>\n(.*?)\n</\1 ", text, re.DOTALL))
        (place,) = (place for place, answer in shown.items() if answer.startswith("answer of "))
        item = int(shown[place].removeprefix("answer of "))
        key = (item, "response" if place == "first" else "reference")
        attempt = self.asked[key]
        self.asked[key] += 1
        self.temperatures[item].add(call.body.get("temperature"))
        self.max_tokens.add(call.body.get("max_tokens"))
        return self.replies[key][attempt]


def run(twin: Path, out: Path, profile: str, judge: Judge) -> TaskResult:
    answers = out.with_suffix(".jsonl")
    answers.write_text(
        "".join(
            json.dumps({"id": row["uniq_id"], "response": f"answer of {row['uniq_id']}"}) + "\n"
            for row in rows_of(twin)
        )
    )
    with in_thread(OpenAIServer(judge)) as server:
        results = eval_anything.evaluate(
            model=f"replay/{answers}",
            tasks="air_bench_chat",
            data=str(twin),
            task_options={"profile": profile},
            judge="openai/judge",
            judge_options={"base_url": server.url},
            out=out,
        )
    return results.tasks[0]


def values(result: TaskResult) -> dict[str, float | None]:
    return {metric.name: metric.value for metric in result.metrics}


def equal(found: dict[str, float | None], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


# What cal_score.py does with one file of replies, in the order in which the file has them.


def published_file(rows: list[dict[str, Any]], replies: list[str], swapped: bool) -> dict[str, Any]:
    total: Counter[str] = Counter()
    wins: Counter[str] = Counter()
    model_sum: Counter[str] = Counter()
    succeeded = failed = 0
    for row, reply in zip(rows, replies, strict=True):
        category = CATEGORY[row["task_name"]]
        words = reply.strip().replace("\n", "").split(" ")
        if len(words) != 2:
            failed += 1
            continue
        succeeded += 1
        try:
            one, two = int(words[0]), int(words[1])
        except ValueError:
            failed += 1
            continue
        if one > 10 or two > 10:
            failed += 1
            continue
        model, reference = (one, two) if swapped else (two, one)
        total[category] += 1
        model_sum[category] += model
        wins[category] += model > reference
    return {
        "score": {c: model_sum[c] / total[c] for c in total},
        "win": {c: wins[c] / total[c] for c in total},
        "n": total,
        "succeeded": succeeded,
        "failed": failed,
    }


def published(rows: list[dict[str, Any]], replies: Recorded) -> dict[str, float]:
    """Both files, their means averaged, mixed as the mean of two, overall as the mean of four."""
    files = {
        first: published_file(
            rows, [replies[row["uniq_id"], first][0] for row in rows], swapped=first == "response"
        )
        for first in ("reference", "response")
    }
    found: dict[str, float] = {}
    for prefix, what in (("", "score"), ("win rate, ", "win")):
        for category in set(CATEGORY.values()):
            for first, file in files.items():
                found[f"{prefix}{category}, {first} first"] = file[what][category]
            both = [found[f"{prefix}{category}, {first} first"] for first in files]
            found[f"{prefix}{category}"] = sum(both) / 2
        _average(found, prefix, "win rate" if prefix else "average")
    return found


def _average(found: dict[str, float], prefix: str, name: str) -> None:
    mixed = (found[f"{prefix}speech_and_sound_QA"] + found[f"{prefix}speech_and_music_QA"]) / 2
    found[f"{prefix}mixed"] = mixed
    found[name] = (found[f"{prefix}speech"] + found[f"{prefix}sound"] + found[f"{prefix}music"] + mixed) / 4


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_original(twin: Path, tmp_path: Path, seed: int) -> None:
    replies = recorded(seed)
    rows = rows_of(twin)
    judge = Judge(replies)
    result = run(twin, tmp_path / "run", "original", judge)
    expected = published(rows, replies)
    equal(values(result), expected)
    assert set(judge.asked.values()) == {1}
    for first in ("reference", "response"):
        file = published_file(rows, [replies[r["uniq_id"], first][0] for r in rows], first == "response")
        found = {m.name: m.n_scored for m in result.metrics}
        assert {c: found[f"{c}, {first} first"] for c in file["n"]} == dict(file["n"])
        assert file["succeeded"] + file["failed"] > len(rows), "pairs that are no integers count twice"


def test_original_draws_the_temperature_once_for_each_item(twin: Path, tmp_path: Path) -> None:
    judges = [Judge(recorded(1)) for _ in range(2)]
    for number, judge in enumerate(judges):
        run(twin, tmp_path / f"run{number}", "original", judge)
    drawn = [{item: set(t) for item, t in judge.temperatures.items()} for judge in judges]
    assert drawn[0] == drawn[1]
    assert all(t in ({1.0}, {2.0}) for t in drawn[0].values()), "both orders alike"
    hot = sum(t == {2.0} for t in drawn[0].values())
    assert 0.3 * SIZE < hot < 0.7 * SIZE
    assert judges[0].max_tokens == {1024}


def test_corrected(twin: Path, tmp_path: Path) -> None:
    replies = recorded(4)
    rows = rows_of(twin)
    judge = Judge(replies)
    result = run(twin, tmp_path / "run", "corrected", judge)
    scores: dict[str, list[float]] = defaultdict(list)
    wins: dict[str, list[float]] = defaultdict(list)
    unparsed = 0
    for row in rows:
        verdicts = {
            first: next(
                (v for r in replies[row["uniq_id"], first][:3] if (v := REPLIES[r]) is not None), None
            )
            for first in ("reference", "response")
        }
        plain, swapped = verdicts["reference"], verdicts["response"]
        if plain is None or swapped is None:
            unparsed += 1
            continue
        model, reference = (plain[1] + swapped[0]) / 2, (plain[0] + swapped[1]) / 2
        scores[CATEGORY[row["task_name"]]].append(model)
        wins[CATEGORY[row["task_name"]]].append(float(model > reference))
    expected = {category: sum(found) / len(found) for category, found in scores.items()}
    _average(expected, "", "average")
    expected |= {f"win rate, {category}": sum(found) / len(found) for category, found in wins.items()}
    _average(expected, "win rate, ", "win rate")
    equal(values(result), expected)
    assert unparsed > 0
    assert result.headline.n_missing == {"unparsed": unparsed}
    assert set(judge.asked.values()) == {1, 2, 3}
    assert {t for found in judge.temperatures.values() for t in found} == {1.0}


def test_align_anything(twin: Path, tmp_path: Path) -> None:
    replies = recorded(5)
    rows = rows_of(twin)
    judge = Judge(replies)
    result = run(twin, tmp_path / "run", "align-anything", judge)
    sums: Counter[str] = Counter()
    valid: Counter[str] = Counter()
    for row in rows:
        score = -1
        for reply in replies[row["uniq_id"], "reference"]:
            words = reply.strip().replace("\n", "").split(" ")
            try:
                second = int(words[1])
            except (IndexError, ValueError):
                continue
            if 1 <= second <= 10:
                score = second
                break
        if score < 0:
            continue
        category = CATEGORY[row["task_name"]]
        category = "mixed" if "_and_" in category else category
        sums[category] += score
        valid[category] += 1
    expected = {category: sums[category] / valid[category] for category in sums}
    expected["average"] = math.fsum(expected.values()) / 4
    equal(values(result), expected)
    assert {m.name: m.n_scored for m in result.metrics if m.name != "average"} == dict(valid)
    assert {first for _, first in judge.asked} == {"reference"}, "no swap"
    assert {t for found in judge.temperatures.values() for t in found} == {None}, "none is sent"


def test_by_hand(tmp_path: Path) -> None:
    """Ten items, one in each cell; the second of two orders fails for one, a tie, a score above ten."""
    folder = tmp_path / "twin"
    write_chat(folder, 10, 0)
    tasks = [row["task_name"] for row in rows_of(folder)]
    assert tasks[:4] == ["speech_QA", "speech_QA", "speech_dialogue_QA", "speech_dialogue_QA"]
    plain = ["8 6", "7 9", "5 5", "9 x", "4 2", "6 8", "3 3", "10 10", "11 2", "6 7"]
    plain[8] = "9 1"  # speech_and_sound_QA has this item alone
    swapped = ["6 8", "12 1", "5 5", "7 7", "2 4", "8 6", "1 9", "9 10", "2 2", "5 5"]
    replies = {(i, "reference"): [plain[i]] * 5 for i in range(10)} | {
        (i, "response"): [swapped[i]] * 5 for i in range(10)
    }
    found = values(run(folder, tmp_path / "run", "original", Judge(replies)))
    assert found["speech, reference first"] == pytest.approx((6 + 9 + 5) / 3, abs=1e-9)
    assert found["speech, response first"] == pytest.approx((6 + 5 + 7) / 3, abs=1e-9)
    assert found["sound"] == pytest.approx(((2 + 8) / 2 + (2 + 8) / 2) / 2, abs=1e-9)
    assert found["music"] == pytest.approx(((3 + 10) / 2 + (1 + 9) / 2) / 2, abs=1e-9)
    assert found["mixed"] == pytest.approx(((1 + 2) / 2 + (7 + 5) / 2) / 2, abs=1e-9)
    assert found["average"] == pytest.approx((19 / 3 + 5 + 5.75 + 3.75) / 4, abs=1e-9)
    assert found["win rate, speech, reference first"] == pytest.approx(1 / 3, abs=1e-9), "a tie is no win"
    corrected = values(run(folder, tmp_path / "run2", "corrected", Judge(replies)))
    assert corrected["speech"] == pytest.approx((6 + 5) / 2, abs=1e-9), "items 1 and 3 lack one order"
    assert corrected["average"] == pytest.approx((5.5 + 5 + 5.75 + 3.75) / 4, abs=1e-9)
