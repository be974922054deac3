"""The closed loop's own parts: truth of answers, jobs that go on after a kill, the table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

import closed_loop
import held_out
import jobs
import numpy as np
import pytest
import refined
import tabled
import worth

from eval_anything.cli.main import main
from eval_anything.synth.scene import scene
from eval_anything_train.data import twin, twin_answers

EXPERIMENTS = Path(closed_loop.__file__).parent


@pytest.mark.parametrize("about", ["image", "video", "audio"])
def test_right_answers_are_faithful_and_wrong_ones_less(about: str) -> None:
    worse = []
    for seed in range(60):
        rng = Random(seed)
        drawn = scene(rng, video=about == "video")
        _, question, draft = twin_answers.asked(drawn, about, rng)  # type: ignore[arg-type]
        assert held_out.faithful(question, draft(rng, 0).text, drawn, about) == 1
        worse.append(held_out.faithful(question, draft(rng, 2).text, drawn, about))
    assert min(worse) >= 0 and float(np.mean(worse)) < 0.8


def test_the_task_runs(tmp_path: Path) -> None:
    command = ["run", "--include", str(EXPERIMENTS / "held_out.py"), "--tasks", "held_out", "-q"]
    command += ["--data", "synthetic:n=6,seed=1", "-T", "about=audio", "--model", "fake/echo"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "samples_held_out.jsonl").open()]
    assert len(rows) == 6 and len(tabled._scores(tmp_path / "run" / "samples_held_out.jsonl")) == 6


def test_results_of_another_configuration_are_refused(tmp_path: Path) -> None:
    jobs.claim(tmp_path / "a", {"n": 8, "model": "x"})
    jobs.claim(tmp_path / "a", {"n": 8, "model": "x"})
    with pytest.raises(jobs.ExperimentError, match="n: 8 there, 9 asked for"):
        jobs.claim(tmp_path / "a", {"n": 9, "model": "x"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes").write_text("")
    with pytest.raises(jobs.ExperimentError, match="holds no experiment"):
        jobs.claim(tmp_path / "b", {"n": 8})


def test_jobs_wait_for_one_another_and_are_done_once(tmp_path: Path) -> None:
    jobs.claim(tmp_path, {})
    todo = [
        jobs.Job("second", ("show", "amu"), after=("first",)),
        jobs.Job("first", ("ls", "tasks")),
        jobs.Job("third", ("--version",)),
    ]
    jobs.run(todo, tmp_path, 2)
    logs = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()}
    assert set(logs) == {"first.log", "second.log", "third.log"}
    assert logs["first.log"] <= logs["second.log"]
    jobs.run(todo, tmp_path, 2)
    assert logs == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()}


def test_a_job_that_fails_is_named_and_stops_those_after_it(tmp_path: Path) -> None:
    jobs.claim(tmp_path, {})
    todo = [jobs.Job("bad", ("show", "nothing")), jobs.Job("after", ("ls", "tasks"), after=("bad",))]
    with pytest.raises(jobs.ExperimentError, match="failed: bad"):
        jobs.run(todo, tmp_path, 1)
    assert not (tmp_path / "logs" / "after.log").exists()
    jobs.run([jobs.Job("bad", ("show", "amu")), todo[1]], tmp_path, 1)  # mended, it goes on
    assert (tmp_path / "logs" / "after.log").exists()


def test_every_arm_has_a_checkpoint_that_a_job_makes(tmp_path: Path) -> None:
    asked = argparse.Namespace(model="hf/m", about="video", n=8, held_out=8, out=str(tmp_path))
    plan = closed_loop.Plan(asked, 3)
    names = {job.name for job in plan.jobs()}
    assert set(plan.checkpoints()) == set(closed_loop.ARMS)
    for job in plan.jobs():
        assert set(job.after) <= names
    assert len({plan.scored(arm) for arm in closed_loop.ARMS}) == len(closed_loop.ARMS)


def test_the_table(tmp_path: Path) -> None:
    runs: dict[str, list[Path]] = {}
    for arm, right in (("initial", 0.25), ("better", 0.75)):
        runs[arm] = []
        for seed in range(2):
            folder = tmp_path / arm / str(seed)
            folder.mkdir(parents=True)
            values = [float(n < right * 40) for n in range(40)]
            rows = [{"id": f"q{n}", "score": value} for n, value in enumerate(values)]
            (folder / "samples_held_out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            runs[arm].append(folder)
    first, second = tabled.lines(runs)
    assert first.value == 0.25 and second.value == 0.75 and second.seeds == (0.75, 0.75)
    assert second.low < 0.75 < second.high and second.against[0] == 0.5
    assert 0.3 < second.against[1] < 0.5 < second.against[2] < 0.7
    report = tmp_path / "report"
    report.mkdir()
    (report / "RESULTS.md").write_text(f"before\n{tabled._BEGIN}\nold\n{tabled._END}\nafter\n")
    found = tabled.lines(runs)
    tabled.write(report, found, {"initial": "a", "better": "b"}, {"n": 40}, ["| a row of pairs |"])
    text = (report / "RESULTS.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| **better**: b | 0.750" in text
    assert (report / "closed_loop.svg").read_text().startswith("<svg ")


def test_what_pairs_are_worth() -> None:
    folder = twin.twin_folder("ti2t", 40, 0)
    truths = twin.read_truth(folder, "ti2t")
    sure = worth.of_pairs("synthetic:ti2t,n=40", truths, "image")
    # A worse answer may have faults of style alone, which leave it as true.
    assert sure.pairs == 40 and sure.chosen > sure.rejected and sure.better > 0.6 and sure.worse < 0.1
    unsure = worth.of_pairs("synthetic:ti2t,n=40,agreement=0.5", truths, "image")
    assert unsure.better < sure.better and unsure.worse > sure.worse


def test_answers_with_mistakes_are_answered_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = refined.wrong("audio", 6)
    assert rows and all(refined.worse(truth).loss > 0 for _, truth in rows)
    right = {prompt.id: truth.replies[truth.winner - 1].text for prompt, truth in rows}
    before = {prompt.id: refined.worse(truth).text for prompt, truth in rows}
    assert refined.row("x", before, rows, "audio").endswith("| 0 % | 0 % |")
    assert not refined.row("x", right, rows, "audio").startswith(refined.row("x", before, rows, "audio")[:12])
    command = ["--loop", str(tmp_path), "--out", str(tmp_path / "out"), "--model", "fake/echo"]
    assert refined.main([*command, "--about", "audio", "--n", "6"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
