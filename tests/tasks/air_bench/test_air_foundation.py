"""AIR-Bench foundation: prompts, options, the benchmark's own sentence, runs and the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

import eval_anything
from eval_anything.cli.main import main
from eval_anything.errors import DataError, UsageError
from eval_anything.options import parse
from eval_anything.task import DataSource
from eval_anything.tasks.air_bench.foundation import AIRBenchFoundation
from eval_anything.tasks.air_bench.twin import write_foundation
from eval_anything.values import Sample, Text

Row = dict[str, Any]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("air") / "foundation"
    write_foundation(folder, 50, 1)
    return folder


def made(prompts: Path | None = None, **options: Any) -> AIRBenchFoundation:
    return AIRBenchFoundation(parse(AIRBenchFoundation.Options, options, "-T"), prompts)


def samples(task: AIRBenchFoundation, folder: Path) -> list[Sample]:
    return list(task.samples(task.open(DataSource(kind="path", path=folder))))


def prompt(sample: Sample) -> str:
    (message,) = sample.messages
    text = message.parts[-1]
    assert isinstance(text, Text)
    return text.text


def rows_of(folder: Path) -> list[Row]:
    return json.loads((folder / "Foundation" / "Foundation_meta.json").read_text())  # type: ignore[no-any-return]


def changed(twin: Path, to: Path, **fields: Any) -> Path:
    """A copy of the twin whose first row has other fields."""
    to.mkdir()
    for entry in (twin / "Foundation").iterdir():
        if entry.is_dir():
            (to / "Foundation").mkdir(exist_ok=True)
            (to / "Foundation" / entry.name).symlink_to(entry)
    rows = rows_of(twin)
    rows[0].update(fields)
    (to / "Foundation" / "Foundation_meta.json").write_text(json.dumps(rows))
    return to


def run(folder: Path, out: Path, **options: Any) -> Any:
    return eval_anything.evaluate(tasks="air_bench_foundation", data=str(folder), out=out, **options).tasks[0]


def test_each_option_has_its_line_and_none_is_printed_as_published_only(twin: Path) -> None:
    rows = rows_of(twin)
    corrected, original = samples(made(), twin), samples(made(profile="original"), twin)
    seen = set()
    for row, ours, theirs in zip(rows, corrected, original, strict=True):
        choices = [row[f"choice_{letter}"] for letter in "abcd"]
        there = [choice for choice in choices if choice is not None]
        seen.add(len(there))
        lines = [f"{letter}. {choice}" for letter, choice in zip("ABCD", there, strict=False)]
        assert prompt(ours).splitlines()[-len(lines) - 1 :] == [row["question"], *lines]
        printed = [f"{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True)]
        assert prompt(theirs).splitlines()[-5:] == [row["question"], *printed]
        assert ours.metadata["options"] == dict(zip("ABCD", there, strict=False))
        assert ours.metadata["options"][ours.metadata["answer"]] == row["answer_gt"]
        assert ours.group == f"{row['task_name']}_{row['dataset_name']}"
    assert seen == {2, 3, 4}


def test_of_options_that_read_the_same_all_are_right_or_the_first(twin: Path, tmp_path: Path) -> None:
    fields = {"choice_a": "x", "choice_b": "same", "choice_c": "same", "choice_d": "", "answer_gt": "same"}
    folder = changed(twin, tmp_path / "same", **fields)
    (first, *_) = samples(made(), folder)
    assert first.metadata == {"options": {"A": "x", "B": "same", "C": "same"}, "answer": "BC"}
    (first, *_) = samples(made(profile="original"), folder)
    assert first.metadata["answer"] == "B"
    assert prompt(first).endswith("\nD. ")


def test_a_right_answer_that_is_no_option_is_named_before_anything_is_asked(
    twin: Path, tmp_path: Path
) -> None:
    folder = changed(twin, tmp_path / "wrong", answer_gt="moo")
    with pytest.raises(DataError, match=r"uniq_id '0': answer_gt 'moo' is none of the choices \('"):
        samples(made(), folder)


def test_the_benchmarks_own_sentence_is_read_as_data(twin: Path, tmp_path: Path) -> None:
    (tmp_path / "Inference_Foundation.py").write_text(
        "def main():\n    for item in data:\n        question_prompts = 'Pick one of {A}.'\n        boom()\n"
    )
    theirs = made(tmp_path, profile="original")
    (row, *_), (sample, *_) = rows_of(twin), samples(theirs, twin)
    choices = [f"{letter}. {row[f'choice_{letter.lower()}']}" for letter in "ABCD"]
    assert prompt(sample) == "\n".join(["Pick one of {A}.", row["question"], *choices])
    assert theirs.identity()["prompts"] != made(profile="original").identity()["prompts"]


def test_who_knows_the_answers_is_right_and_who_does_not_is_at_chance(tmp_path: Path) -> None:
    folder = tmp_path / "twin"
    write_foundation(folder, 250, 0)
    knowing = tmp_path / "knowing.jsonl"
    knowing.write_text(
        "".join(json.dumps({"id": r["uniq_id"], "response": r["answer_gt"]}) + "\n" for r in rows_of(folder))
    )
    best = run(folder, tmp_path / "best", model=f"replay/{knowing}")
    poor = run(folder, tmp_path / "poor", model="fake/constant", model_options={"reply": "B"})
    assert best.headline.value == 100
    assert 15 < poor.headline.value < 45
    assert best.judge == "multiple_choice"
    assert all(metric.scale_high == 100 for metric in best.metrics)


def test_the_benchmarks_own_results_are_replayed_after_one_key_is_renamed(twin: Path, tmp_path: Path) -> None:
    """Foundation_result_modelx.jsonl has the rows of the JSON file with `response`; the card says how."""
    theirs = tmp_path / "Foundation_result_modelx.jsonl"
    theirs.write_text("".join(json.dumps({**row, "response": "A."}) + "\n" for row in rows_of(twin)))
    ours = tmp_path / "replay.jsonl"
    ours.write_text(theirs.read_text().replace('"uniq_id": ', '"id": '))
    result = run(twin, tmp_path / "run", model=f"replay/{ours}", task_options={"profile": "original"})
    right = sum(row["answer_gt"] == row["choice_a"] for row in rows_of(twin))
    found = {metric.name: metric for metric in result.metrics}
    assert found["all questions"].value == pytest.approx(100 * right / 50)


def test_chosen_tasks_have_an_average_of_their_own(twin: Path, tmp_path: Path) -> None:
    options = {"only": "Sound_AQA,Music_AQA"}
    result = run(
        twin, tmp_path / "run", model="fake/constant", model_options={"reply": "A"}, task_options=options
    )
    assert [metric.name for metric in result.metrics] == [
        "average",
        "sound",
        "Sound question answering",
        "Sound question answering, avqa",
        "Sound question answering, clothoaqa",
        "music",
        "Music question answering",
        "all questions",
    ]
    assert "only Sound_AQA,Music_AQA: not the benchmark's averages" in result.notes
    found = {metric.name: metric.value for metric in result.metrics}
    assert found["average"] == pytest.approx((found["sound"] + found["music"]) / 2)


def test_limit_a_model_without_ears_and_the_missing_policy(twin: Path, tmp_path: Path) -> None:
    options = {"model": "fake/constant", "model_options": {"inputs": "text", "reply": "hm"}, "limit": 30}
    result = run(twin, tmp_path / "corrected", **options)
    assert result.masked == {"audio": 30}
    assert (result.counts.planned, result.headline.value) == (30, 0)
    options["task_options"] = {"profile": "original"}
    result = run(twin, tmp_path / "original", **options)
    assert result.headline.value is None
    assert result.headline.n_missing == {"unparsed": 30}
    result = run(twin, tmp_path / "zero", missing="zero", **options)
    assert result.headline.value == 0


def test_a_judging_model_is_refused(twin: Path) -> None:
    with pytest.raises(UsageError, match="is judged by 'multiple_choice', not by a model"):
        run(twin, twin.parent / "never", model="fake/echo", judge={"air_bench_foundation": "openai/gpt-4o"})


def test_show_lists_every_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "air_bench_foundation"]) == 0
    shown = capsys.readouterr().out
    for name in ("unparsed-skipped", "none-printed", "first-or-last-but-one", "first-equal-text"):
        assert f"{name} (original)" in shown
    for name in ("no-answer", "average"):
        assert f"{name} (all profiles)" in shown
