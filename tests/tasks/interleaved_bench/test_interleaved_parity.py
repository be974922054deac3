"""InterleavedBench: the same recorded replies through the whole pipeline, and through a plain computation of
the means, written from the benchmark's card and tables alone."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from recorded_aspects import Key, RecordedAspects, judged, text_of

import eval_anything.tasks.interleaved_bench.task as module
from eval_anything.results.values import TaskResult
from eval_anything.synth import image
from eval_anything.tasks.interleaved_bench.twin import read_truth, write_twin

N = 40
ASPECTS = ["text_quality", "perceptual_quality", "image_coherence", "text_image_coherence", "helpfulness"]
READ: dict[str, int | None] = {
    **{f"Looks fine.\nScore: {number}": number for number in range(6)},
    "Score: 4.": 4,
    "**Score:** 3": 3,
    "score:2": 2,
    "{'score': 5}": 5,
    "Score: 4\n\nScore: 4": 4,
    "Score: 3.0": 3,
    "Score\uff1a1": 1,
    "": None,
    "4": None,
    "Score: 6": None,
    "Score: -1": None,
    "Score: 3.5": None,
    "Score: 4/5": None,
    "Score: 80%": None,
    "Score: 2\nScore: 3": None,
    "Score: four": None,
    "\u8bc4\u5206\uff1a4": None,
    "I cannot see any picture.": None,
}
"""Each reply, and the number that a reader finds in it."""
Holds = Literal["both", "text", "images", "nothing"]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interleaved") / "twin"
    write_twin(folder, N, 4)
    return folder


def use_cases(twin: Path) -> dict[str, str]:
    return {row["id"]: row["task_name"] for row in json.loads((twin / "interleaved_bench.json").read_text())}


def asked_by(twin: Path) -> dict[str, str]:
    """The last words of each prompt, by which a judge's question is told."""
    found = {}
    for row in json.loads((twin / "interleaved_bench.json").read_text()):
        words = row["conversations"][0]["value"].removesuffix(" <BEGIN>").split("<image>")
        found[max(words, key=len).strip()] = row["id"]
    assert len(found) == len(use_cases(twin))
    return found


def holdings(twin: Path, seed: int) -> dict[str, Holds]:
    """What the answer to each sample holds: most hold both."""
    rng = Random(f"holds {seed}")
    drawn: Sequence[Holds] = ("both", "both", "both", "text", "images", "nothing")
    return {sample: rng.choice(drawn) for sample in use_cases(twin)}


def recorded(twin: Path, seed: int) -> dict[Key, list[str]]:
    rng = Random(f"replies {seed}")
    keys = [(sample, aspect) for sample in use_cases(twin) for aspect in ASPECTS]
    found = {key: [rng.choice(list(READ)) for _ in range(3)] for key in keys}
    for reply, key in zip(READ, rng.sample(keys, len(READ)), strict=True):
        found[key][0] = reply
    return found


def answers(twin: Path, held: Mapping[str, Holds], out: Path) -> list[dict[str, Any]]:
    """Text and pictures in turn, as the record's own writers had them."""
    out.mkdir(parents=True)
    rows = []
    for sample, truth in read_truth(twin).items():
        parts: list[dict[str, str]] = []
        for number, scene in enumerate(truth.scenes):
            name = f"{sample}_{number}.png"
            (out / name).write_bytes(image.png(scene))
            parts += [
                {"type": "text", "text": f"Part {number}."},
                {"type": "image", "path": name},
            ]
        kinds = {"both": ("text", "image"), "text": ("text",), "images": ("image",), "nothing": ()}
        rows.append({"id": sample, "parts": [p for p in parts if p["type"] in kinds[held[sample]]]})
    return rows


def run(
    twin: Path, out: Path, replies: Mapping[Key, Sequence[str]], held: Mapping[str, Holds], **options: Any
) -> tuple[TaskResult, RecordedAspects]:
    asked = asked_by(twin)

    def sample_of(text: str) -> str:
        (found,) = {sample for words, sample in asked.items() if words in text}
        return found

    judge = RecordedAspects(replies, Path(module.__file__).parent / "judge", sample_of)
    rows = answers(twin, held, out)
    return judged("interleaved_bench", twin, judge, rows, out, **options), judge


def scores(
    sample: str, use_case: str, holds: Holds, replies: Mapping[Key, Sequence[str]], rule: str
) -> dict[str, float | None]:
    """The aspects of one instance: None where the judge gave no number in three attempts."""
    text, pictures = holds in ("both", "text"), holds in ("both", "images")
    editing = use_case in ("image_editing", "subject_driven_generation")
    needed = {
        "text_quality": text,
        "perceptual_quality": pictures,
        "image_coherence": pictures,
        "text_image_coherence": text and pictures,
        "helpfulness": pictures if editing else text or pictures,
    }
    found: dict[str, float | None] = {}
    for aspect in ASPECTS:
        if editing and aspect.startswith("text"):
            if rule == "original":
                found[aspect] = 0
        elif not needed[aspect]:
            if rule != "skip":
                found[aspect] = 0
        else:
            read = [READ[reply] for reply in replies[sample, aspect]]
            found[aspect] = next((number for number in read if number is not None), None)
    return found


def plain(
    twin: Path, held: Mapping[str, Holds], replies: Mapping[Key, Sequence[str]], rule: str
) -> dict[str, float]:
    cases = use_cases(twin)
    rows = {sample: scores(sample, case, held[sample], replies, rule) for sample, case in cases.items()}
    found = {}
    for aspect in ASPECTS:
        given = [row[aspect] for row in rows.values() if row.get(aspect) is not None]
        found[aspect] = statistics.fmean(number for number in given if number is not None)
    own = {
        sample: sum(number or 0 for number in row.values()) / len(row)
        for sample, row in rows.items()
        if row and None not in row.values()
    }
    by_case = {
        case: statistics.fmean(value for sample, value in own.items() if cases[sample] == case)
        for case in dict.fromkeys(cases.values())
    }
    return {
        "average": statistics.fmean(found.values()),
        **found,
        "mean over instances": statistics.fmean(own.values()),
        **by_case,
    }


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rule", ["corrected", "original", "align-anything", "skip"])
def test_every_number_is_that_of_the_plain_recomputation(
    twin: Path, tmp_path: Path, rule: str, seed: int
) -> None:
    replies, held = recorded(twin, seed), holdings(twin, seed)
    options: dict[str, Any] = {"profile": rule}
    if rule == "skip":
        options = {"task_options": {"missing_media": "skip"}}
    task, judge = run(twin, tmp_path / "run", replies, held, **options)
    expected = plain(twin, held, replies, rule)
    assert {metric.name: metric.value for metric in task.metrics} == pytest.approx(expected, abs=1e-9, rel=0)
    assert [metric.name for metric in task.metrics] == list(expected)
    missing = {metric.name: sum(metric.n_missing.values()) for metric in task.metrics}
    rows = [scores(s, case, held[s], replies, rule) for s, case in use_cases(twin).items()]
    assert missing["mean over instances"] == sum(not row or None in row.values() for row in rows)
    for metric in task.metrics:
        assert metric.depth == (1 if metric.name in ASPECTS else 0)
    for (sample, aspect), times in judge.asked.items():
        read = [READ[reply] is not None for reply in replies[sample, aspect]]
        assert times == (read.index(True) + 1 if True in read else 3)


def test_zeros_that_the_published_script_stores_count_in_the_profile_original_alone(tmp_path: Path) -> None:
    """One record of each kind: image editing is the third. All verdicts are 4."""
    folder = tmp_path / "twin"
    write_twin(folder, 3, 0)
    replies = {(sample, aspect): ["Score: 4"] for sample in use_cases(folder) for aspect in ASPECTS}
    held: dict[str, Holds] = dict.fromkeys(use_cases(folder), "both")
    expected = {"corrected": (4, 4, 4), "original": (8 / 3, (3 * 4 + 2 * 8 / 3) / 5, (4 + 4 + 12 / 5) / 3)}
    for profile, (text, average, instances) in expected.items():
        task, judge = run(folder, tmp_path / profile, replies, held, profile=profile)
        values = {metric.name: metric.value for metric in task.metrics}
        assert values["text_quality"] == values["text_image_coherence"] == pytest.approx(text)
        assert values["average"] == pytest.approx(average)
        assert values["mean over instances"] == pytest.approx(instances)
        assert len(judge.asked) == 13, "nobody is asked about text where none is wanted"


def test_the_judge_sees_prompt_and_answer_with_their_pictures_in_order(twin: Path, tmp_path: Path) -> None:
    replies = {(sample, aspect): ["Score: 4"] for sample in use_cases(twin) for aspect in ASPECTS}
    held: dict[str, Holds] = dict.fromkeys(use_cases(twin), "both")
    _, judge = run(twin, tmp_path / "run", replies, held)
    counts = {
        row["id"]: (
            row["conversations"][0]["value"].count("<image>"),
            len(read_truth(twin)[row["id"]].scenes),
        )
        for row in json.loads((twin / "interleaved_bench.json").read_text())
    }
    assert max(answer for _, answer in counts.values()) > 1, "answers of several pictures"
    assert max(prompt for prompt, _ in counts.values()) > 1, "prompts of several pictures"
    for (sample, _), body in judge.shown.items():
        content = body["messages"][1]["content"]
        prompt, answer = counts[sample]
        assert sum(part["type"] == "image_url" for part in content) == prompt + answer
        text = content[0]["text"]
        assert text.index("<question ") < text.index("<answer ")
        for number in range(answer):
            label = f"<answer image {number + 1} "
            assert text.index(f"Part {number}.") < text.index(label)
            if number:
                assert text.index(f"<answer image {number} ") < text.index(f"Part {number}.")
            (place,) = (i for i, part in enumerate(content[1:], 1) if part.get("text", "").startswith(label))
            assert content[place + 1]["type"] == "image_url", "the picture follows its label"
        assert "Score: N" in text_of(body["messages"][1])
