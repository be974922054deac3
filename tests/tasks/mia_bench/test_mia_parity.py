"""MIA-Bench: the same recorded replies through the whole pipeline, and through a plain computation of what
the published notebook does, written from its facts alone."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from recorded_judge import judged

from eval_anything.task import DataSource
from eval_anything.tasks.mia_bench.task import MIABench, MIABenchOptions
from eval_anything.tasks.mia_bench.twin import write_twin
from eval_anything.values import Response, Text

N = 60
KINDS = ("describe", "mention", "length_limit", "linguistics", "grammar", "textual", "math", "perspective")
Points = list[float]
Reply = tuple[str, Points | None]
"""What the judge says, and what a reader makes of it: points for each component, or no verdict."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mia") / "twin"
    write_twin(folder, N, 2)
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "instruction_benchmark_all.json").read_text())


def sentence(points: Points, weights: Points, total: str) -> str:
    scores = [
        f"score of component {i}: {p:g}/{w:g}"
        for i, (p, w) in enumerate(zip(points, weights, strict=True), 1)
    ]
    return f"{', '.join(scores)}, total score: {total}"


def plain(w: Points, rng: Random) -> Reply:
    points = [float(rng.randint(0, int(worth))) for worth in w]
    return sentence(
        points, w, f"{sum(points):g}/{sum(w):g}"
    ) + ". The response does this, but not that.", points


def spaced(w: Points, rng: Random) -> Reply:
    text, points = plain(w, rng)
    return f"\n  {text.replace('/', ' / ')}\t", points


def decimals(w: Points, rng: Random) -> Reply:
    points = [rng.randint(0, int(2 * worth)) / 2 for worth in w]
    return sentence(points, w, f"{sum(points):g}/{sum(w):g}") + ".", points


def bold(w: Points, rng: Random) -> Reply:
    text, points = plain(w, rng)
    return text.replace(": ", ":** ").replace("score of", "**score of"), points


def second_sentence(w: Points, rng: Random) -> Reply:
    text, points = plain(w, rng)
    return text.replace(", total", ". Total"), points


def no_full_stop(w: Points, rng: Random) -> Reply:
    text, points = plain(w, rng)
    return text.replace(". The", "\n\nThe"), points


def no_space(w: Points, rng: Random) -> Reply:
    text, points = plain(w, rng)
    return text.replace(": ", ":"), points


def of_words(w: Points, rng: Random) -> Reply:
    text, _ = plain(w, rng)
    return text.replace("/", " out of "), None


def wrong_total(w: Points, rng: Random) -> Reply:
    points = [float(rng.randint(0, int(worth))) for worth in w]
    return sentence(points, w, "1/3") + ". Strict.", None


def too_many_points(w: Points, rng: Random) -> Reply:
    points = [worth + rng.randint(1, 3) for worth in w]
    return sentence(points, w, f"{sum(points):g}/{sum(w):g}") + ".", None


def other_weights(w: Points, rng: Random) -> Reply:
    return sentence([1.0] * len(w), [5.0 + i for i in range(len(w))], "3/10") + ".", None


def negative(w: Points, rng: Random) -> Reply:
    return sentence([-1.0] * len(w), w, f"0/{sum(w):g}") + ".", None


def no_total(w: Points, rng: Random) -> Reply:
    return plain(w, rng)[0].split(", total")[0] + ".", None


def one_more(w: Points, rng: Random) -> Reply:
    return sentence([1.0] * (len(w) + 1), [*w, 2.0], "5/10") + ".", None


def two_verdicts(w: Points, rng: Random) -> Reply:
    full = sentence([float(x) for x in w], w, f"{sum(w):g}/{sum(w):g}")
    none = sentence([0.0] * len(w), w, f"0/{sum(w):g}")
    return f"{full}. No, I was not strict enough: {none}.", None


def chinese(w: Points, rng: Random) -> Reply:
    return "组件1: 2/4, 组件2: 3/6, 总分: 5/10.", None


def fixed(text: str) -> Callable[[Points, Random], Reply]:
    return lambda w, rng: (text, None)


NONE = [
    fixed(""),
    fixed("I'm sorry, I can't help with that."),
    fixed("total score: 7/10."),
    fixed("It follows the instruction: well, mostly."),
    fixed("score of component 1: 0/0, score of component 2: 1/2, total score: 1/2."),
    of_words,
]
"""No verdict by either rule."""
ODD = [
    *NONE,
    *(spaced, decimals, bold, second_sentence, no_full_stop, no_space, wrong_total, too_many_points),
    *(other_weights, negative, no_total, one_more, two_verdicts, chinese),
]


def recorded(rows: list[dict[str, Any]], attempts: int, seed: int) -> dict[str, list[Reply]]:
    """Every odd reply comes first for some row; some rows get no verdict at all."""
    rng = Random(seed)
    found = {}
    for i, row in enumerate(rows):
        makers: list[Callable[[Points, Random], Reply]]
        if i < 2 * len(ODD):
            makers = [ODD[i % len(ODD)], *(rng.choice([*ODD, plain, plain]) for _ in range(attempts - 1))]
        else:
            makers = [rng.choice(NONE) if i % 5 == 0 else plain for _ in range(attempts)]
        weights = [float(weight) for weight in row["component_weight"]]
        found[str(i)] = [maker(weights, rng) for maker in makers]
    return found


def notebook(
    rows: list[dict[str, Any]], replies: dict[str, list[Reply]]
) -> tuple[dict[str, float | None], int]:
    """The notebook: the first sentence, split at commas; a/b after the colon and a space; the last is the
    total; later components replace earlier ones of their type; whatever raises is skipped; means of the rest.
    """
    lists: dict[str, list[float]] = {}
    skipped = 0
    for i, row in enumerate(rows):
        raw = replies[str(i)][0][0].strip()
        try:
            scores = {}
            pieces = raw.split(".")[0].split(",")
            for k in range(len(pieces) - 1):
                a, b = pieces[k].split(":")[1][1:].split("/")[0:2]
                scores[row["component_type"][k]] = int(a) / int(b)
            assert len(pieces) > 1, "the loop's variable is not defined"
            a, b = pieces[-1].split(":")[1][1:].split("/")[0:2]
            scores["total"] = int(a) / int(b)
        except (ValueError, IndexError, ZeroDivisionError, AssertionError):
            skipped += 1
            continue
        for name, value in scores.items():
            lists.setdefault(name, []).append(value)
    means = {name: 100 * sum(values) / len(values) for name, values in lists.items()}
    return {"MIA-Bench": means.get("total"), **{kind: means.get(kind) for kind in KINDS}}, skipped


def corrected(
    rows: list[dict[str, Any]], replies: dict[str, list[Reply]]
) -> tuple[dict[str, float | None], int]:
    """Three tries, then left out; points per what they are worth, over the row and over each kind in it."""
    lists: dict[str, list[float]] = {}
    skipped = 0
    for i, row in enumerate(rows):
        points = next((said for _, said in replies[str(i)] if said is not None), None)
        if points is None:
            skipped += 1
            continue
        triples = list(zip(row["component_type"], row["component_weight"], points, strict=True))
        for name in {"total", *row["component_type"]}:
            chosen = [(w, p) for kind, w, p in triples if name in ("total", kind)]
            lists.setdefault(name, []).append(sum(p for _, p in chosen) / sum(w for w, _ in chosen))
    means = {name: 100 * sum(values) / len(values) for name, values in lists.items()}
    return {"MIA-Bench": means.get("total"), **{kind: means.get(kind) for kind in KINDS}}, skipped


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("profile", "attempts", "published"),
    [("corrected", 3, corrected), ("original", 1, notebook), ("align-anything", 1, notebook)],
)
def test_every_number_is_that_of_the_plain_recomputation(
    twin: Path, tmp_path: Path, profile: str, attempts: int, published: Any, seed: int
) -> None:
    rows = rows_of(twin)
    replies = recorded(rows, attempts, seed)
    texts = {i: [text for text, _ in tries] for i, tries in replies.items()}
    task, judge = judged("mia_bench", twin, texts, tmp_path / "run", profile=profile)
    expected, skipped = published(rows, replies)
    assert {metric.name: metric.value for metric in task.metrics} == pytest.approx(expected, abs=1e-9, rel=0)
    assert [metric.name for metric in task.metrics] == list(expected)
    assert 0 < skipped < N
    assert task.metrics[0].n_missing == {"unparsed": skipped}
    if attempts == 1:
        assert set(judge.asked.values()) == {1}


def test_two_rows_by_hand(tmp_path: Path) -> None:
    """Row 3 of a twin: two components worth 4 each; row 4: describe 4, mention 3, mention 3.

    Row 3: 3/4 and 1/4, total 4/8 (stated as 5/10 in the second reply).
    Row 4: 4/4, 3/3, 0/3, total 7/10. Published: the later mention alone counts, 0; corrected: (3 + 0) / 6.
    """
    folder = tmp_path / "five"
    write_twin(folder, 5, 0)
    rows = rows_of(folder)
    assert rows[3]["component_weight"] == [4, 4]
    assert rows[4]["component_type"] == ["describe", "mention", "mention"]
    light = "score of component 1: 3/4, score of component 2: 1/4, total score: 5/10. Why."
    twice = (
        "score of component 1: 4/4, score of component 2: 3/3, score of component 3: 0/3, total score: 7/10."
    )
    replies = {**{str(i): ["?"] * 3 for i in range(3)}, "3": [light], "4": [twice]}
    for profile, mention in (("original", 0.0), ("corrected", 50.0)):
        task, _ = judged("mia_bench", folder, replies, tmp_path / profile, profile=profile)
        metrics = {metric.name: metric for metric in task.metrics}
        assert metrics["MIA-Bench"].value == pytest.approx((50 + 70) / 2)
        assert metrics["MIA-Bench"].n_missing == {"unparsed": 3}
        assert metrics["describe"].value == pytest.approx((75 + 100) / 2)
        assert metrics["mention"].value == pytest.approx(mention)


def test_the_word_error_is_left_out_as_published_or_judged_as_any_other_response(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    write_twin(folder, 2, 0)
    replies = {}
    for i, row in enumerate(rows_of(folder)):
        weights = [float(weight) for weight in row["component_weight"]]
        replies[str(i)] = [f"{sentence(weights, weights, '10/10')}."]
    responses = {"0": "ANSWER 0.", "1": "error"}
    task, judge = judged("mia_bench", folder, replies, tmp_path / "original", responses, profile="original")
    assert task.metrics[0].value == pytest.approx(100)
    assert task.metrics[0].n_missing == {"no_response": 1}
    assert dict(judge.asked) == {"0": 1}
    opened = MIABench(MIABenchOptions(profile="corrected"))
    dataset = opened.open(DataSource(kind="path", path=folder))
    response = Response(parts=(Text("error"),))
    assert opened.settled(next(opened.samples(dataset)), response) is None


def test_the_judge_is_asked_as_published(tmp_path: Path) -> None:
    """One user turn: the text, then the image; 2000 tokens, no temperature; the total goes to the row's own
    points, or 10 as published."""
    folder = tmp_path / "five"
    write_twin(folder, 5, 0)
    replies = {str(i): ["?"] * 3 for i in range(5)}
    for profile, total in (("original", "10"), ("corrected", "8")):
        _, judge = judged("mia_bench", folder, replies, tmp_path / profile, profile=profile)
        body = next(body for body in judge.bodies if "ANSWER 3." in json.dumps(body))
        assert body["max_tokens"] == 2000
        assert "temperature" not in body
        (turn,) = body["messages"]
        assert turn["role"] == "user"
        kinds = [part["type"] for part in turn["content"]]
        assert kinds[0] == "text"
        assert kinds.count("image_url") == 1
        row = rows_of(folder)[3]
        text = turn["content"][0]["text"]
        assert row["instruction"] in text
        for i, component in enumerate(row["components"], 1):
            assert f"component {i} (worth 4 points): {component}" in text
        assert f"score of component 1: ?/4, score of component 2: ?/4, total score: ?/{total}." in text
