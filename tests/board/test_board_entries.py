"""Runs and submissions as entries: what is read, what is refused, which of them are one row."""

import json
from pathlib import Path
from typing import Any

import pytest
from board_lab import RunLab

from eval_anything.board.definition import Definition, Limits, read_definition
from eval_anything.board.entry import About, about, checkpoint, read_entries, read_entry
from eval_anything.board.rows import histories, latest, rows
from eval_anything.board.submit import submit
from eval_anything.errors import DataError, UsageError
from eval_anything.paired.scores import read


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("hf//out/run/checkpoint-500", ("hf//out/run", 500)),
        ("hf//out/run/slice_1200/", ("hf//out/run", 1200)),
        ("hf/org/global_step-7", ("hf/org", 7)),
        ("hf/out/iter_0000200", ("hf/out", 200)),
        ("openai/gpt-4o", None),
        ("hf/Qwen/Qwen2.5-7B", None),
        ("checkpoint-500", None),
    ],
)
def test_a_checkpoint_is_told_by_its_name(model: str, found: tuple[str, int] | None) -> None:
    assert checkpoint(model) == found


def test_a_submission_is_a_baseline_file_with_a_name_and_no_media(lab: RunLab, tmp_path: Path) -> None:
    run = lab.run("a", "org/a", 5.0)
    path, notes = submit(run, tmp_path / "board", About(name="The model", series="s", step=3))
    assert notes == []
    entry = read_entry(path)
    assert (entry.name, entry.about.series, entry.about.step) == ("The model (step 3)", "s", 3)
    assert read(path).tasks == read(run).tasks
    assert path.stat().st_size < 20_000
    again, _ = submit(run, tmp_path / "other", About(name="The model", series="s", step=3))
    assert again.read_bytes() == path.read_bytes() and again.name == path.name


def test_the_same_submission_takes_the_place_of_the_first_only_where_that_is_asked_for(
    lab: RunLab, tmp_path: Path
) -> None:
    run = lab.run("a", "org/a", 5.0)
    path, _ = submit(run, tmp_path / "board", About())
    with pytest.raises(UsageError, match=r"is there already.*--replace"):
        submit(run, tmp_path / "board", About())
    assert submit(run, tmp_path / "board", About(), replace=True)[0] == path
    assert len(list((tmp_path / "board").iterdir())) == 1


def refused(run: Path, to: Path, rules: Definition | None = None) -> str:
    before = sorted(to.iterdir()) if to.exists() else []
    with pytest.raises(UsageError) as fault:
        submit(run, to, About(), rules)
    assert (sorted(to.iterdir()) if to.exists() else []) == before, "nothing is written"
    return str(fault.value)


def test_what_is_not_whole_or_went_wrong_is_not_accepted(lab: RunLab, tmp_path: Path) -> None:
    to = tmp_path / "board"
    assert "unfinished: 10 of 40 answers" in refused(lab.run("half", "org/a", 5.0, upto=10), to)
    assert "answers that failed: 8 of 40, at most 5.0%" in refused(lab.run("bad", "org/a", 5.0, failed=8), to)
    cached = lab.run("cached", "org/a", 5.0)
    journal = cached / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"requests":1,"input_tokens":10,', '"input_tokens":10,'))
    assert "the model was never asked" in refused(cached, to)


def test_limits_are_those_of_the_definition(lab: RunLab, tmp_path: Path) -> None:
    file = tmp_path / "board.toml"
    file.write_text(
        'limits = {max_error_rate = 0.3, max_missing_rate = 0.3}\n[[columns]]\ntitle = "A"\ntask = "amu"\n'
    )
    rules = read_definition(str(file))
    assert rules.limits == Limits(max_error_rate=0.3, max_missing_rate=0.3)
    submit(lab.run("bad", "org/a", 5.0, failed=8), tmp_path / "board", About(), rules)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"identity": {"judge": {"name": "other"}}}, "judge.name: 'gpt' -> 'other'"),
        ({"identity": {"data": {"revision": "r2"}}}, "data.revision: 'r1' -> 'r2'"),
        ({"identity": {"mask": ["audio"]}}, "mask"),
        ({"n": 24}, "answers planned: 40 -> 24"),
        ({"data": "synthetic"}, "it is of synthetic data, .* is of hub data"),
        ({"data": "path"}, "it is of path data, .* is of hub data"),
    ],
)
def test_what_was_not_measured_like_the_others_is_not_accepted(
    changes: dict[str, Any], said: str, lab: RunLab, tmp_path: Path
) -> None:
    import re

    to = tmp_path / "board"
    submit(lab.run("a", "org/a", 5.0), to, About())
    assert re.search(said, refused(lab.run("b", "org/b", 5.0, **changes), to))


def test_a_seed_and_a_model_may_differ_and_so_may_settings_that_the_definition_ignores(
    lab: RunLab, tmp_path: Path
) -> None:
    to = tmp_path / "board"
    submit(lab.run("a", "org/a", 5.0), to, About())
    submit(lab.run("b", "org/b", 5.0, identity={"seed": 9}), to, About())
    other = lab.run("c", "org/c", 5.0, identity={"judge": {"name": "gpt", "host": "x"}})
    assert "judge.host" in refused(other, to)
    file = tmp_path / "board.toml"
    file.write_text('ignore_settings = ["judge.host"]\n[[columns]]\ntitle = "A"\ntask = "amu"\n')
    submit(other, to, About(), read_definition(str(file)))


def test_another_judge_and_synthetic_data_are_accepted_where_nothing_else_is_there_and_it_is_said(
    lab: RunLab, tmp_path: Path
) -> None:
    run = lab.run("a", "org/a", 5.0, data="synthetic", judge="reference", protocol_judge=False)
    _, notes = submit(run, tmp_path / "board", About())
    assert any("synthetic data" in note for note in notes)
    assert any("judged by reference, which is not the protocol's judge" in note for note in notes)


def edited(path: Path, change: Any) -> Path:
    whole = json.loads(path.read_text())
    change(whole)
    path.write_text(json.dumps(whole))
    return path


def raise_value(whole: Any) -> None:
    whole["results"]["tasks"][0]["metrics"][0]["value"] += 1


def raise_scores(whole: Any) -> None:
    for verdict in whole["tasks"][0]["verdicts"]:
        verdict["value"] = 10.0


def other_judge(whole: Any) -> None:
    whole["tasks"][0]["plan"]["identity"]["judge"]["name"] = "a friendlier one"


def other_data(whole: Any) -> None:
    whole["results"]["tasks"][0]["data"] = "hub"
    whole["tasks"][0]["plan"]["data"] = "somewhere"


def drop_scores(whole: Any) -> None:
    del whole["tasks"][0]["verdicts"][5:]


def say_finished(whole: Any) -> None:
    whole["tasks"][0]["plan"]["planned"] = 12


def no_identity(whole: Any) -> None:
    whole["tasks"][0]["plan"]["identity"] = {}


def no_task(whole: Any) -> None:
    whole["tasks"] = []


CHANGES = [
    raise_value,
    raise_scores,
    other_judge,
    other_data,
    drop_scores,
    say_finished,
    no_identity,
    no_task,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_by_hand_is_refused_by_name(change: Any, lab: RunLab, tmp_path: Path) -> None:
    from eval_anything.board.site import build

    path, _ = submit(lab.run("a", "org/a", 5.0), tmp_path / "board", About())
    edited(path, change)
    with pytest.raises(DataError, match=path.name):
        build(tmp_path / "board", tmp_path / "site")
    assert not (tmp_path / "site").exists()
    with pytest.raises(DataError, match=path.name):
        submit(path, tmp_path / "other", About())


def test_a_damaged_file_is_refused_by_name(lab: RunLab, tmp_path: Path) -> None:
    path, _ = submit(lab.run("a", "org/a", 5.0), tmp_path / "board", About())
    whole = path.read_bytes()
    for content in (b"", b"{}", whole[:-20], b"[" * 100_000, whole.replace(b'"step"', b'"step":"x","y"')):
        path.write_bytes(content)
        with pytest.raises(DataError, match=path.name):
            read_entries(tmp_path / "board")


def test_runs_are_found_at_any_depth_and_files_right_in_the_folder(lab: RunLab, tmp_path: Path) -> None:
    deep = RunLab(lab.folder / "training")
    lab.run("a", "org/a", 5.0)
    deep.run("b", "org/b", 5.0)
    submit(lab.folder / "a", lab.folder, About(name="As a file"))
    assert [entry.name for entry in read_entries(lab.folder)] == ["As a file", "org/a", "org/b"]
    with pytest.raises(UsageError, match="is a run itself"):
        read_entries(lab.folder / "a")
    with pytest.raises(UsageError, match="no such folder"):
        read_entries(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no run and no file"):
        read_entries(tmp_path / "empty")


def test_runs_of_one_model_and_different_tasks_are_one_row(lab: RunLab) -> None:
    lab.run("a1", "org/a", 5.0, ("amu",))
    lab.run("a2", "org/a", 5.0, ("mia",))
    lab.run("b1", "org/b", 5.0)
    lab.run("b2", "org/b", 6.0)
    found = {row.name: [task.plan.name for task in row.tasks] for row in rows(read_entries(lab.folder))}
    assert found == {"org/a": ["amu", "mia"], "org/b (b1)": ["amu"], "org/b (b2)": ["amu"]}


def test_rows_of_one_name_on_different_data_have_names_of_their_own(lab: RunLab) -> None:
    lab.run("a1", "org/a", 5.0, data="synthetic")
    lab.run("a2", "org/a", 5.0)
    assert [(row.name, row.kind) for row in rows(read_entries(lab.folder))] == [
        ("org/a", "hub"),
        ("org/a (synthetic data)", "synthetic"),
    ]


def test_of_a_training_run_the_last_finished_checkpoint_stands_for_all(lab: RunLab) -> None:
    for step in (100, 200, 300):
        lab.run(f"c{step}", f"hf//out/checkpoint-{step}", 5.0, upto=20 if step == 300 else None)
    lab.run("a", "org/a", 5.0)
    found = rows(read_entries(lab.folder))
    assert [row.name for row in latest(found)] == ["org/a", "hf//out/checkpoint-200"]
    assert {name: [r.step for r in held] for name, held in histories(found).items()} == {
        "hf//out": [100, 200, 300]
    }


def test_a_series_needs_its_step(lab: RunLab) -> None:
    scores = read(lab.run("a", "org/a", 5.0))
    with pytest.raises(UsageError, match="--series and --step"):
        about(scores, series="s")
    with pytest.raises(UsageError, match="--series and --step"):
        about(scores, step=3)
