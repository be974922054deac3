"""Video-ChatGPT: the same recorded replies through the whole pipeline, and through a plain computation of
what the published scripts do, written from their facts alone."""

import ast
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from recorded_aspects import Key, RecordedAspects, judged, text_of

import eval_anything.tasks.video_chatgpt.task as module
from eval_anything.results.values import TaskResult
from eval_anything.tasks.video_chatgpt.twin import write_twin

N = 48
FILES = {
    "correctness": "generic_qa.json",
    "detail": "generic_qa.json",
    "context": "generic_qa.json",
    "temporal": "temporal_qa.json",
    "consistency": "consistency_qa.json",
}
CLEAN = ["{'score': 0}", "{'score': 1}", "{'score': 2}", "{'score': 3}", "{'score': 4}", '{"score": 5}']
CORRECTED: dict[str, int | None] = {
    **{reply: number for number, reply in enumerate(CLEAN)},
    " {'score': 4}": 4,
    "\n\t{'score': 3}  \n": 3,
    "{'score':  2}": 2,
    "{'score': '3'}": 3,
    "{'score': 4.0}": 4,
    "{''score': 4}": 4,
    "```python\n{'score': 2}\n```": 2,
    "Score: 3": 3,
    "{'Score': 5}": 5,
    "{'score': 4, 'reason': 'good'}": 4,
    "The score is clear.\n{'score': 1}": 1,
    "{'score': 4.8}": None,
    "{''score': 4.8}": None,
    "{'score': '4.8'}": None,
    "{'score': 0.9}": None,
    "{'score': 4,5}": None,
    "{'score': 7}": None,
    "{'score': -2}": None,
    "{'score': 1e1}": None,
    "{'score': True}": None,
    "{'score': None}": None,
    "{'score': 'four'}": None,
    "{'score': 4/5}": None,
    "{'score': 2} {'score': 5}": None,
    "{'score': 3}\n{'score': 4}": None,
    "4": None,
    "['score', 4]": None,
    "{}": None,
    "": None,
    "\u5206\u6570\u662f\u56db": None,
    "\u5f97\u5206\uff1a4": None,
    "I am sorry, I cannot rate this answer.": None,
}
"""Each reply, and the number that a reader finds in it: one whole number from 0 to 5, and no other."""
ATTEMPTS = {"corrected": 3, "original": 10, "align-anything": 3}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("video_chatgpt") / "twin"
    write_twin(folder, N, 5)
    return folder


def keyed(twin: Path, aspect: str) -> dict[str, dict[str, str]]:
    """The items of an aspect, by the scripts' own keys: a video's name, and how many of it came before."""
    counts: dict[str, int] = {}
    found = {}
    for sample in json.loads((twin / FILES[aspect]).read_text()):
        video = sample["video_name"]
        counts[video] = counts.get(video, -1) + 1
        found[f"{video}_{counts[video]}"] = sample
    return found


def questions(twin: Path) -> list[Key]:
    return [
        (f"{FILES[aspect].removesuffix('_qa.json')}/{key}", aspect)
        for aspect in FILES
        for key in keyed(twin, aspect)
    ]


def recorded(twin: Path, attempts: int, seed: int, tame: bool = False) -> dict[Key, list[str]]:
    """Every reply comes first somewhere; some questions get no reply that any rule can read. `tame`: those
    alone with which the published scripts end with a number."""
    rng = Random(seed)
    asked = questions(twin)
    odd = [reply for reply in CORRECTED if not tame or literal(reply) is not None or unparsed(reply)]
    found = {}
    for key in asked:
        hopeless = not tame and rng.random() < 0.1
        pool = ["", "4", "I am sorry, I cannot rate this answer."] if hopeless else odd
        found[key] = [rng.choice(pool) for _ in range(attempts)]
        if tame:
            found[key][-1] = rng.choice(CLEAN)
    for reply, key in zip(odd, rng.sample(asked, len(odd)), strict=True):
        found[key][0] = reply
    return found


def unparsed(reply: str) -> bool:
    """Whether the published scripts ask again: the reply is no Python literal."""
    try:
        ast.literal_eval(reply)
    except Exception:  # noqa: BLE001 - as the published scripts do
        return True
    return False


def literal(reply: str) -> int | None:
    """What the published scripts make of a reply; None where they ask again, or would end in an error."""
    try:
        return int(ast.literal_eval(reply)["score"])
    except Exception:  # noqa: BLE001 - as the published scripts do
        return None


def means(
    twin: Path, replies: Mapping[Key, Sequence[str]], rule: Callable[[str], int | None]
) -> dict[str, float]:
    """The first reply that can be read counts, questions without any are left out; mean of the five means."""
    found = {}
    for aspect, file in FILES.items():
        total = count = 0
        for key in keyed(twin, aspect):
            read = [rule(reply) for reply in replies[f"{file.removesuffix('_qa.json')}/{key}", aspect]]
            numbers = [number for number in read if number is not None]
            if numbers:
                total, count = total + numbers[0], count + 1
        found[aspect] = total / count
    return {"average": sum(found.values()) / 5, **found}


RULES: dict[str, Callable[[str], int | None]] = {
    "corrected": lambda reply: CORRECTED[reply],
    "align-anything": lambda reply: CORRECTED[reply],
    "original": literal,
}


def run(
    twin: Path, out: Path, replies: Mapping[Key, Sequence[str]], **options: Any
) -> tuple[TaskResult, RecordedAspects]:
    judge = RecordedAspects(replies, Path(module.__file__).parent / "judge")
    ids = dict.fromkeys(sample for sample, _ in questions(twin))
    rows: list[dict[str, Any]] = [
        {"id": i, "answers": [f"First ANSWER {i}.", f"Second ANSWER {i}."]}
        if i.startswith("consistency")
        else {"id": i, "response": f"ANSWER {i}."}
        for i in ids
    ]
    return judged("video_chatgpt", twin, judge, rows, out, **options), judge


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("profile", ATTEMPTS)
def test_every_number_is_that_of_the_plain_recomputation(
    twin: Path, tmp_path: Path, profile: str, seed: int
) -> None:
    attempts, rule = ATTEMPTS[profile], RULES[profile]
    replies = recorded(twin, attempts, seed)
    task, judge = run(twin, tmp_path, replies, profile=profile)
    expected = means(twin, replies, rule)
    assert {metric.name: metric.value for metric in task.metrics} == pytest.approx(expected, abs=1e-9, rel=0)
    assert [metric.name for metric in task.metrics] == list(expected)
    unread = {key for key, tries in replies.items() if all(rule(reply) is None for reply in tries)}
    missing = {metric.name: sum(metric.n_missing.values()) for metric in task.metrics}
    for aspect in FILES:
        assert missing[aspect] == sum(key[1] == aspect for key in unread)
    assert 0 < len(unread) < len(replies)
    for key, tries in replies.items():
        read = [rule(reply) is not None for reply in tries]
        assert judge.asked[key] == (read.index(True) + 1 if True in read else attempts)


def published_script(twin: Path, replies: Mapping[Key, Sequence[str]], aspect: str) -> float:
    """One of the five scripts: rounds over the files that are not there yet, then the mean of int(score)."""
    part = FILES[aspect].removesuffix("_qa.json")
    keys = list(keyed(twin, aspect))
    written: dict[str, Any] = {}
    tries = dict.fromkeys(keys, 0)
    while incomplete := [key for key in keys if key not in written]:
        for key in incomplete:
            reply = replies[f"{part}/{key}", aspect][tries[key]]
            tries[key] += 1
            try:
                written[key] = json.loads(json.dumps([ast.literal_eval(reply)]))
            except Exception:  # noqa: BLE001 - as the published scripts do
                continue
    score_sum = count = 0
    for result in written.values():
        count += 1
        score_sum += int(result[0]["score"])
    return score_sum / count


def test_original_is_what_the_published_scripts_print_where_they_print_a_number(
    twin: Path, tmp_path: Path
) -> None:
    replies = recorded(twin, 10, 7, tame=True)
    task, _ = run(twin, tmp_path, replies, profile="original")
    printed = {aspect: published_script(twin, replies, aspect) for aspect in FILES}
    found = {metric.name: metric.value for metric in task.metrics}
    assert found == pytest.approx({"average": statistics.fmean(printed.values()), **printed}, abs=1e-9)
    assert not any(sum(metric.n_missing.values()) for metric in task.metrics)


def test_three_items_by_hand(tmp_path: Path) -> None:
    """One video; generic 4.8, 3 and 2, temporal 7, consistency doubled quotes and then 5.

    original: 4 (cut), 3, 2, 7, 5, mean 4.2; corrected: 4.8 and 7 are none, so there is no headline.
    """
    folder = tmp_path / "three"
    write_twin(folder, 3, 0)
    (generic, *_), temporal, consistency = (
        [sample for sample, _ in questions(folder) if sample.startswith(part)]
        for part in ("generic", "temporal", "consistency")
    )
    replies = {
        (generic, "correctness"): ["{'score': 4.8}"] * 10,
        (generic, "detail"): ["{'score': 3}"],
        (generic, "context"): ["{'score': 2}"],
        (temporal[0], "temporal"): ["{'score': 7}"] * 10,
        (consistency[0], "consistency"): ["{''score': 4.8}", "{'score': 5}"],
    }
    task, _ = run(folder, tmp_path / "original", replies, profile="original")
    values = {metric.name: metric.value for metric in task.metrics}
    assert values == pytest.approx(
        {"average": 4.2, "correctness": 4, "detail": 3, "context": 2, "temporal": 7, "consistency": 5}
    )
    task, judge = run(folder, tmp_path / "corrected", replies)
    values = {metric.name: metric.value for metric in task.metrics}
    assert values == {
        "average": None,
        "correctness": None,
        "detail": 3,
        "context": 2,
        "temporal": None,
        "consistency": 5,
    }
    assert judge.asked[generic, "correctness"] == judge.asked[temporal[0], "temporal"] == 3


def test_the_judge_is_shown_text_alone_in_the_published_order(twin: Path, tmp_path: Path) -> None:
    replies = {key: ["{'score': 3}"] for key in questions(twin)}
    for profile, second in (("corrected", "Q2"), ("original", "Q1")):
        _, judge = run(twin, tmp_path / profile, replies, profile=profile)
        for (sample, aspect), body in judge.shown.items():
            held = keyed(twin, aspect)[sample.split("/")[1]]
            text = text_of(body["messages"][1])
            assert isinstance(body["messages"][1]["content"], str), "no video"
            order = ["Q", "A"] if "Q" in held else ["Q1", second, "A"]
            places = []
            for name in order:
                places.append(text.index(held[name], places[-1] + 1 if places else 0))
            assert places == sorted(places)
            assert places[-1] < text.index("ANSWER ")
            if "Q1" in held:
                assert text.index("First ANSWER") < text.index("Second ANSWER")
                assert (held["Q2"] in text) == (profile == "corrected")
            assert "temperature" not in body
