"""LLaVA-Bench (COCO): the same recorded replies through the whole pipeline, and through a plain computation
of what the published scripts do, written from their facts alone."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from recorded_judge import judged

from eval_anything.judge import PairRubric
from eval_anything.judges.pair import llava
from eval_anything.tasks.llava_bench_coco.twin import write_twin

N = 60
CATEGORIES = ("conv", "detail", "complex")
READABLE = [
    "8 7\nThe first is better.",
    "10 1",
    "6.5 9\n",
    "9 9",
    "7 8\n\n8 7 would be wrong.",
    "5 3",
    "2 10",
]
ODD = [
    "",
    "8, 7",
    "8,7\nWith a comma.",
    "8  7",
    "8\t7",
    "8 7 ",
    " 8 7",
    "\n8 7",
    "8 7\r\nA carriage return.",
    "8 7 6",
    "8",
    "Assistant 1: 8, Assistant 2: 7",
    "8/10 7/10",
    "0 11",
    "-2 4",
    "1e1 3",
    "15 0.5\nOff the scale.",
    "I cannot rate these answers.",
    "第一个回答更好: 8 7",
    "8 7\nOn second thought:\n6 9",
    "8.5. 7",
    "**8 7**",
    "eight seven",
    "[8, 7]",
]
"""No verdict, or one by some rules alone."""
NONE = ["", "8", "I cannot rate these answers.", "8/10 7/10", "8 7 6"]
"""No verdict by any rule."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava") / "twin"
    write_twin(folder, N, 1)
    return folder


def recorded(attempts: int, seed: int) -> dict[str, list[str]]:
    """Every odd reply comes first for some sample; some samples get nothing else."""
    rng = Random(seed)
    found = {}
    for i in range(N):
        if i < len(ODD):
            first, rest = ODD[i], ODD + 2 * READABLE
        else:
            first, rest = rng.choice(NONE if i % 5 == 0 else READABLE), NONE
        rest = [rng.choice(rest) for _ in range(attempts - 1)]
        found[str(i)] = [first, *rest]
    return found


def floats(line: str) -> tuple[float, float] | None:
    """The scripts' rule for the first line, on which both agree."""
    pieces = line.partition("\n")[0].replace(",", " ").split(" ")
    if len(pieces) != 2:
        return None
    try:
        return float(pieces[0]), float(pieces[1])
    except ValueError:
        return None


def category(sample: str) -> str:
    return CATEGORIES[int(sample) % 3]


def by_category(pairs: dict[str, Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {name: [] for name in ("relative score", *CATEGORIES)}
    for sample, pair in pairs.items():
        groups["relative score"].append(pair)
        groups[category(sample)].append(pair)
    return groups


def original(replies: dict[str, list[str]]) -> dict[str, float]:
    """One try; [-1, -1] where it fails; means to 3 decimals; model / reference x 100 to 1 decimal."""
    pairs = {sample: floats(reply) or (-1.0, -1.0) for sample, (reply,) in replies.items()}
    found = {}
    for name, group in by_category(pairs).items():
        reference, model = (round(sum(pair[side] for pair in group) / len(group), 3) for side in (0, 1))
        found[name] = round(model / reference * 100, 1)
    found["rating of the model"] = sum(pair[1] for pair in pairs.values()) / len(pairs)
    found["rating of the reference"] = sum(pair[0] for pair in pairs.values()) / len(pairs)
    return found


def align_anything(replies: dict[str, list[str]]) -> dict[str, float]:
    """The model is Assistant 1; ten more tries, then [0, 0]; sum / sum x 100 to 1 decimal, over all questions
    or, in a later version of the script, as the mean of the categories."""
    pairs = {}
    for sample, tries in replies.items():
        score, time = floats(tries[0]), 0
        while score is None and time < 10:
            time += 1
            score = floats(tries[time])
        pairs[sample] = score or (0.0, 0.0)
    found = {
        name: round(sum(pair[0] for pair in group) / sum(pair[1] for pair in group) * 100, 1)
        for name, group in by_category(pairs).items()
    }
    average = sum(found[name] for name in CATEGORIES) / 3
    found = {"relative score": found.pop("relative score"), "mean of the categories": average, **found}
    found["rating of the model"] = sum(pair[0] for pair in pairs.values()) / len(pairs)
    found["rating of the reference"] = sum(pair[1] for pair in pairs.values()) / len(pairs)
    return found


CORRECTED = {
    "8 7\nThe first is better.": (8, 7),
    "10 1": (10, 1),
    "6.5 9\n": (6.5, 9),
    "9 9": (9, 9),
    "7 8\n\n8 7 would be wrong.": (7, 8),
    "5 3": (5, 3),
    "2 10": (2, 10),
    "8, 7": (8, 7),
    "8,7\nWith a comma.": (8, 7),
    "8  7": (8, 7),
    "8\t7": (8, 7),
    "8 7 ": (8, 7),
    " 8 7": (8, 7),
    "\n8 7": (8, 7),
    "8 7\r\nA carriage return.": (8, 7),
    "**8 7**": (8, 7),
    "[8, 7]": (8, 7),
}
"""What a reader makes of the replies: two scores on the scale and no other verdict; the rest have none."""


def corrected(replies: dict[str, list[str]]) -> dict[str, float]:
    """Three tries, then left out; nothing is rounded."""
    tried = {
        sample: next((CORRECTED[reply] for reply in tries if reply in CORRECTED), None)
        for sample, tries in replies.items()
    }
    pairs = {sample: pair for sample, pair in tried.items() if pair is not None}
    found = {
        name: statistics.fmean(pair[1] for pair in group) / statistics.fmean(pair[0] for pair in group) * 100
        for name, group in by_category(pairs).items()
    }
    found["rating of the model"] = statistics.fmean(pair[1] for pair in pairs.values())
    found["rating of the reference"] = statistics.fmean(pair[0] for pair in pairs.values())
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("profile", "attempts", "published"),
    [("corrected", 3, corrected), ("original", 1, original), ("align-anything", 11, align_anything)],
)
def test_every_number_is_that_of_the_plain_recomputation(
    twin: Path, tmp_path: Path, profile: str, attempts: int, published: Any, seed: int
) -> None:
    replies = recorded(attempts, seed)
    task, judge = judged("llava_bench_coco", twin, replies, tmp_path / "run", profile=profile)
    expected = published(replies)
    assert {metric.name: metric.value for metric in task.metrics} == pytest.approx(expected, abs=1e-9, rel=0)
    assert [metric.name for metric in task.metrics] == list(expected)
    unread = {
        sample
        for sample, tries in replies.items()
        if all((r not in CORRECTED) if profile == "corrected" else floats(r) is None for r in tries)
    }
    assert sum(task.metrics[0].n_missing.values()) == len(unread)
    assert task.metrics[0].n_stand_in == (0 if profile == "corrected" else len(unread))
    assert 0 < len(unread) < N
    assert all(judge.asked[sample] == attempts for sample in unread)
    assert sum(judge.asked.values()) == sum(asked(tries, profile) for tries in replies.values())


def asked(tries: Sequence[str], profile: str) -> int:
    """How often the judge is asked: up to the first reply that can be read."""
    readable = [
        (reply in CORRECTED) if profile == "corrected" else floats(reply) is not None for reply in tries
    ]
    return readable.index(True) + 1 if True in readable else len(tries)


def test_three_questions_by_hand(tmp_path: Path) -> None:
    """conv 8 7, detail unreadable, complex 9 6.

    original: means (8 - 1 + 9) / 3 = 5.333 and (7 - 1 + 6) / 3 = 4, 4 / 5.333 x 100 = 75.0 (to 1 decimal);
    corrected: 13 / 17 x 100; align-anything reads the first number as the model's: 17 / 13 x 100 = 130.8.
    """
    folder = tmp_path / "three"
    write_twin(folder, 3, 0)
    expected = {"original": 75.0, "corrected": 1300 / 17, "align-anything": 130.8}
    for profile, value in expected.items():
        replies = {"0": ["8 7"], "1": ["no"] * 11, "2": ["9 6\nGood."]}
        task, _ = judged("llava_bench_coco", folder, replies, tmp_path / profile, profile=profile)
        metrics = {metric.name: metric for metric in task.metrics}
        assert metrics["relative score"].value == pytest.approx(value, abs=1e-9)
        assert metrics["relative score"].n_missing == {"unparsed": 1}
        assert metrics["detail"].value == (pytest.approx(100) if profile == "original" else None)
        assert metrics["conv"].value == pytest.approx(
            {"align-anything": 114.3, "corrected": 87.5}.get(profile, 87.5)
        )


def test_ratings_that_would_make_every_published_number_nan_are_no_verdict() -> None:
    rubric = PairRubric(system="", user="{first} {second}", baseline="")
    for reply in ("nan 5", "5 inf", "1e999 2"):
        assert llava(reply, rubric)[0] is None


def test_the_judge_is_asked_as_published(tmp_path: Path) -> None:
    folder = tmp_path / "three"
    write_twin(folder, 3, 0)
    replies = {str(i): ["8 7"] for i in range(3)}
    for profile, params in (("original", (0.2, 1024)), ("align-anything", (0.0, 2048))):
        _, judge = judged("llava_bench_coco", folder, replies, tmp_path / profile, profile=profile)
        for body in judge.bodies:
            assert (body["temperature"], body["max_tokens"]) == params
            system, user = body["messages"]
            assert system["role"] == "system"
            text = user["content"] if isinstance(user["content"], str) else user["content"][0]["text"]
            first, second = text.index("[Assistant 1]"), text.index("[Assistant 2]")
            assert (first < text.index("ANSWER") < second) == (profile == "align-anything")
            assert (": [0." in text) == (profile == "original"), "bounding boxes"
