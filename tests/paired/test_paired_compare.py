"""Two runs compared from their directories and from baseline files."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from run_files import RunFiles

from eval_anything.errors import DataError
from eval_anything.paired.compare import Terms, compare
from eval_anything.paired.output import render
from eval_anything.paired.scores import read, write_baseline

TERMS = Terms(resamples=400)


def run(folder: Path, scores: dict[str, float | None], model: str = "m/one", **plan: Any) -> Path:
    folder.mkdir()
    files = RunFiles(folder)
    files.manifest(files.plan(planned=len(scores), **plan), model=model)
    for name, value in scores.items():
        files.response(name, cluster=name[:3])
        files.score(name, value, "scored" if value is not None else "unparsed")
    return files.save()


BEFORE = {f"s{i:03}": float(i % 7 + 1) for i in range(60)}
AFTER = {name: value + 1.5 - (int(name[1:]) % 3) for name, value in BEFORE.items()}


def test_a_change_with_its_interval_test_and_what_it_rests_on(tmp_path: Path) -> None:
    one = run(tmp_path / "a", {**BEFORE, "x1": 3.0, "y1": None})
    other = run(tmp_path / "b", {**AFTER, "z1": 3.0, "y1": 4.0}, "m/two")
    found = compare(read(one), read(other), TERMS)
    (task,) = found.tasks
    assert (found.before, found.after, found.complete) == ("m/one", "m/two", True)
    assert (task.pairs, task.only_before, task.only_after, task.unscored) == (60, 1, 1, 1)
    assert task.clusters == 6
    assert (task.wins, task.ties, task.losses) == (40, 0, 20)
    headline = task.headline
    assert headline.difference == pytest.approx(0.5)
    assert headline.low is not None and headline.high is not None and headline.p is not None
    assert headline.low <= 0.5 <= headline.high
    assert task.p_holm == headline.p
    assert task.settings == []
    assert task.changed[0].after - task.changed[0].before == 1.5
    assert set(task.unmatched) == {
        "x1 (only in the first run)",
        "z1 (only in the second run)",
        "y1 (without a score in one of them)",
    }


def test_what_was_not_measured_alike_is_said_the_model_apart(tmp_path: Path) -> None:
    def identity(judge: str, model: str) -> dict[str, Any]:
        return {"judge": {"name": judge}, "model": {"spec": model}, "seed": 1, "data": {"revision": "r1"}}

    one = run(tmp_path / "a", BEFORE, identity=identity("gpt", "m/one"))
    other = run(tmp_path / "b", AFTER, identity=identity("other", "m/two"))
    (task,) = compare(read(one), read(other), TERMS).tasks
    assert task.settings == ["judge.name: 'gpt' -> 'other'"]
    assert "NOT MEASURED ALIKE: judge.name" in render(compare(read(one), read(other), TERMS), "table")


def test_a_baseline_file_stands_for_its_run(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", BEFORE), run(tmp_path / "b", AFTER, "m/two")
    path = write_baseline(read(one), tmp_path / "baseline.json")
    assert compare(read(path), read(other), TERMS) == compare(read(one), read(other), TERMS)
    assert write_baseline(read(path), tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert b"question s001" not in path.read_bytes(), "no text"
    assert path.stat().st_size < 30_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a baseline file"),
        ("[]", "not a baseline file"),
        ('{"format": 9}', "not a baseline file"),
        (None, "no run"),
    ],
)
def test_damaged_baselines_are_named(content: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=rf"baseline\.json: {said}"):
        read(path)


def test_a_baseline_of_another_format_and_runs_without_a_task_in_common(tmp_path: Path) -> None:
    scores = read(run(tmp_path / "a", BEFORE))
    newer = tmp_path / "newer.json"
    newer.write_bytes(msgspec.json.encode(msgspec.structs.replace(scores, format=2)))
    with pytest.raises(DataError, match="a baseline of format 2, this version reads 1"):
        read(newer)
    folder = tmp_path / "b"
    folder.mkdir()
    files = RunFiles(folder)
    files.manifest(files.plan(name="other"))
    with pytest.raises(DataError, match="no task in common: amu in the first run, other in the second"):
        compare(scores, read(files.save()), TERMS)


@pytest.mark.parametrize("form", ["table", "md", "json"])
def test_hostile_names_are_harmless_in_every_form(form: str, tmp_path: Path) -> None:
    name = "s1\x1b[2J\u202e<script>|`x`"
    one, other = run(tmp_path / "a", {name: 1.0, "s2": 2.0}), run(tmp_path / "b", {name: 4.0, "s2": 2.0})
    text = render(compare(read(one), read(other), TERMS), form)
    assert "\x1b" not in text and "\u202e" not in text
    if form == "md":
        assert "<script>" not in text
