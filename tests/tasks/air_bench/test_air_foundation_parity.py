"""AIR-Bench foundation: the same recorded answers through our pipeline and through the published arithmetic.

What score_foundation.py does is written down here once more, from the facts; how the corrected profile reads
each form of answer was decided by hand.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import eval_anything
from eval_anything.results.values import TaskResult
from eval_anything.tasks.air_bench.cells import LABELS
from eval_anything.tasks.air_bench.twin import write_foundation

Row = dict[str, Any]
SIZE = 250
DOMAINS = {"speech": 9, "sound": 4, "music": 6}
"""How many tasks each has."""
SOUND = ("Audio_Grounding", "vocal_sound_classification", "Acoustic_Scene_Classification", "Sound_AQA")
Chosen = Callable[[str, Row], str | None]


def meant(letter: str, _: Row) -> str | None:
    """The corrected profile reads what the answer means."""
    return letter


def nothing(letter: str, _: Row) -> str | None:
    return None


FORMS: dict[str, Chosen] = {
    "{L}": meant,
    "{L}.": meant,
    " {L} \n": meant,
    "({L})": meant,
    "{l}": meant,
    "{L}. {T}": meant,
    "{T}": meant,
    "{T}.": meant,
    "The answer is {L}.": meant,
    "The answer is ({L})": meant,
    "It is {L}": meant,
    "Final answer: {L}": meant,
    "**{L}**": meant,
    "I choose {L}, it fits best": meant,
    "\u7b54\u6848\u662f{L}": meant,  # the answer is ..., in Chinese
    "\u7b54\u6848\u662f{L}\u3002": meant,
    "\n{L}\n": meant,
    "A or B": nothing,
    "Because I hear it.": nothing,
    "All of them": nothing,
    "Dunno": nothing,
    "E": nothing,
    "": nothing,
    "   ": nothing,
    "None": nothing,
    "none": nothing,
    "I am sorry, I cannot hear anything.": nothing,
    "42": nothing,
}
"""Forms of answers for a letter L and the text T of its option, and what the corrected profile reads."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two rows in which two options read the same as the right answer."""
    folder = tmp_path_factory.mktemp("air") / "foundation"
    write_foundation(folder, SIZE, 5)
    file = folder / "Foundation" / "Foundation_meta.json"
    rows = json.loads(file.read_text())
    four = [row for row in rows if row["choice_d"] is not None]
    for row in four[:2]:
        row["choice_a"] = row["choice_d"] = row["answer_gt"]
    file.write_text(json.dumps(rows))
    return folder


def rows_of(twin: Path) -> list[Row]:
    return json.loads((twin / "Foundation" / "Foundation_meta.json").read_text())  # type: ignore[no-any-return]


def letters_of(row: Row) -> str:
    return "".join(letter for letter in "ABCD" if row[f"choice_{letter.lower()}"] is not None)


def answers(rows: list[Row], seed: int) -> dict[int, tuple[str, str, str]]:
    """By item: the answer, the letter that it means, and its form."""
    rng = Random(seed)
    forms = list(FORMS)
    found = {}
    for number, row in enumerate(rows):
        form = forms[number] if number < len(forms) else rng.choice(("{L}", "{L}.", *forms))
        letter = rng.choice(letters_of(row))
        text = row[f"choice_{letter.lower()}"]
        filled = form.replace("{L}", letter).replace("{l}", letter.lower()).replace("{T}", text)
        found[row["uniq_id"]] = (filled, letter, form)
    # What is chosen by a letter that is no option, and the second of two equal options.
    two = next(row for row in rows[len(forms) :] if len(letters_of(row)) == 2)
    found[two["uniq_id"]] = ("C", "C", "E")
    twice = next(row for row in rows if row["choice_a"] == row["choice_d"])
    found[twice["uniq_id"]] = ("D", "D", "{L}")
    return found


def run(twin: Path, out: Path, profile: str, said: dict[int, str]) -> TaskResult:
    file = out.with_suffix(".jsonl")
    file.write_text("".join(json.dumps({"id": i, "response": text}) + "\n" for i, text in said.items()))
    results = eval_anything.evaluate(
        model=f"replay/{file}",
        tasks="air_bench_foundation",
        data=str(twin),
        task_options={"profile": profile},
        out=out,
    )
    return results.tasks[0]


def equal(result: TaskResult, accuracy: dict[str, list[float]]) -> None:
    """Compares with accuracies by cell, as averages over data sets, tasks and domains, in per cent."""
    found = {metric.name: metric.value for metric in result.metrics}
    by_task: dict[str, dict[str, float]] = defaultdict(dict)
    for cell, right in accuracy.items():
        task, _, dataset = cell.partition("/")
        by_task[task][dataset] = 100 * sum(right) / len(right)
    by_domain: dict[str, list[float]] = defaultdict(list)
    for task, datasets in by_task.items():
        value = sum(datasets.values()) / len(datasets)
        assert found.pop(LABELS[task]) == pytest.approx(value, abs=1e-9), task
        if len(datasets) > 1:
            for dataset, one in datasets.items():
                assert found.pop(f"{LABELS[task]}, {dataset}") == pytest.approx(one, abs=1e-9), dataset
        domain = "music" if task.startswith("Music") else "sound" if task in SOUND else "speech"
        by_domain[domain].append(value)
    assert {domain: len(values) for domain, values in by_domain.items()} == DOMAINS
    means = {domain: sum(values) / len(values) for domain, values in by_domain.items()}
    for domain, value in means.items():
        assert found.pop(domain) == pytest.approx(value, abs=1e-9), domain
    assert found.pop("average") == pytest.approx(sum(means.values()) / 3, abs=1e-9)
    every = [one for right in accuracy.values() for one in right]
    assert found.pop("all questions") == pytest.approx(100 * sum(every) / len(every), abs=1e-9)
    assert not found


@pytest.mark.parametrize("seed", (1, 2))
def test_original(twin: Path, tmp_path: Path, seed: int) -> None:
    rows = rows_of(twin)
    given = answers(rows, seed)
    accuracy: dict[str, list[float]] = defaultdict(list)
    failed = 0
    for row in rows:
        predicted = given[row["uniq_id"]][0].strip().replace("\n", "")
        letter = None
        if predicted not in ("", "None"):
            if predicted[0] in ("A", "B", "C", "D"):
                letter = predicted[0]
            elif len(predicted) > 1 and predicted[-2] in ("A", "B", "C", "D"):
                letter = predicted[-2]
        if letter is None:
            failed += 1
            continue
        choices = [row["choice_a"], row["choice_b"], row.get("choice_c"), row.get("choice_d")]
        truth = "ABCD"[choices.index(row["answer_gt"])]
        accuracy[f"{row['task_name']}/{row['dataset_name']}"].append(float(letter == truth))
    result = run(twin, tmp_path / "run", "original", {i: text for i, (text, _, _) in given.items()})
    equal(result, accuracy)
    assert failed > 0
    assert result.headline.n_missing == {"unparsed": failed}
    assert result.headline.n_imputed == 0


@pytest.mark.parametrize("profile", ("corrected", "align-anything"))
def test_corrected(twin: Path, tmp_path: Path, profile: str) -> None:
    rows = rows_of(twin)
    given = answers(rows, 3)
    accuracy: dict[str, list[float]] = defaultdict(list)
    unparsed = 0
    for row in rows:
        _, letter, form = given[row["uniq_id"]]
        chosen = FORMS[form](letter, row)
        unparsed += chosen is None
        right = chosen is not None and row[f"choice_{chosen.lower()}"] == row["answer_gt"]
        accuracy[f"{row['task_name']}/{row['dataset_name']}"].append(float(right))
    result = run(twin, tmp_path / "run", profile, {i: text for i, (text, _, _) in given.items()})
    equal(result, accuracy)
    assert unparsed > 0
    assert result.headline.n_missing == {}, "wrong answers: nobody but the model failed"
    assert result.counts.judge_error_rate == 0
    assert result.figures["answers without an option"] == pytest.approx(unparsed / len(rows))


def test_where_the_published_script_ends_in_an_exception_a_number_is_missing_with_its_reason(
    twin: Path, tmp_path: Path
) -> None:
    """No answer at all to one item (AttributeError there), and none that is read in one task (KeyError)."""
    rows = rows_of(twin)
    said = {row["uniq_id"]: "A" for row in rows}
    silent = next(row["uniq_id"] for row in rows if row["task_name"] == "Music_AQA")
    del said[silent]
    for row in rows:
        if row["task_name"] == "Speech_Grounding":
            said[row["uniq_id"]] = "I cannot tell"
    result = run(twin, tmp_path / "run", "original", said)
    found = {metric.name: metric for metric in result.metrics}
    asked = Counter(row["task_name"] for row in rows)
    assert found["Music question answering"].n_missing == {"no_response": 1}
    assert found["Music question answering"].n_scored == asked["Music_AQA"] - 1
    grounding = found["Speech grounding"]
    assert (grounding.value, grounding.n_scored) == (None, 0)
    assert f"{asked['Speech_Grounding']} unparsed" in grounding.reason
    for name in ("speech", "average"):
        assert found[name].value is None
        assert "Speech grounding" in found[name].reason
    assert found["music"].value is not None
    assert found["all questions"].value is not None


def test_published_averages_recompute_as_means_of_the_three_domains() -> None:
    """And not as means over the 19 tasks: the leaderboard's own numbers, in per cent with one decimal."""
    import yaml

    from eval_anything import leaderboards

    file = Path(leaderboards.__path__[0]) / "air_bench.yaml"
    tables = {table["task"]: table["rows"] for table in yaml.safe_load(file.read_text())["tables"]}
    whole = [row["values"] for row in tables["air_bench_foundation"] if None not in row["values"]]
    assert len(whole) == 7
    for *tasks, published in whole:
        domains = [sum(part) / len(part) for part in (tasks[:9], tasks[9:13], tasks[13:])]
        assert sum(domains) / 3 == pytest.approx(published, abs=0.06)
    off = [abs(sum(tasks) / 19 - published) for *tasks, published in whole]
    assert sum(one > 0.25 for one in off) == 6


def test_published_chat_averages_recompute_but_two_that_are_known_not_to() -> None:
    import yaml

    from eval_anything import leaderboards

    file = Path(leaderboards.__path__[0]) / "air_bench.yaml"
    tables = {table["task"]: table["rows"] for table in yaml.safe_load(file.read_text())["tables"]}
    rows = {row["model"]: row["values"] for row in tables["air_bench_chat"] if None not in row["values"]}
    off = {model for model, (*four, average) in rows.items() if abs(sum(four) / 4 - average) > 0.011}
    assert len(rows) == 10
    assert off == {"NExT-GPT", "Macaw-LLM"}
