"""`judge-agreement` on whole runs: a panel, a replay by another judge, the truth of a twin."""

import json
from pathlib import Path

import pytest

from eval_anything.cli.main import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`panel`, two judges on AMU's twin; `again`, the same answers judged by the reference judge alone."""
    folder = tmp_path_factory.mktemp("runs")
    common = ["--tasks", "amu", "--data", "synthetic:n=12", "-q"]
    panel = ["--judge", "panel", "-J", "judges=fake/rater,reference"]
    assert main(["run", "--model", "fake/echo", *common, *panel, "--out", str(folder / "panel")]) == 0
    replay = ["--model", f"replay/{folder}/panel/samples_amu.jsonl", "--judge", "reference"]
    assert main(["run", *replay, *common, "--out", str(folder / "again")]) == 0
    return folder


def test_against_the_known_truth(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = str(runs / "panel")
    assert main(["judge-agreement", panel, "--labels", "truth", "--resamples", "100", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    judges = {one["judge"]: one for one in report["tasks"][0]["judges"]}
    assert list(judges) == ["panel(mean):rubric:fake/rater+reference", "rubric:fake/rater", "reference"]
    exact = {name: one["measures"][0]["value"] for name, one in judges.items()}
    assert exact["reference"] == 1  # what the twin knows is what this judge says
    assert exact["rubric:fake/rater"] < 0.5
    assert {one["labelled"] for one in judges.values()} == {12}


def test_another_run_as_labels_and_as_a_further_judge(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel, again, out = str(runs / "panel"), str(runs / "again"), tmp_path / "judges.md"
    arguments = [panel, again, "--labels", again, "--format", "md", "--out", str(out), "--resamples", "100"]
    assert main(["judge-agreement", *arguments]) == 0
    text = out.read_text()
    assert text.count("\n### ") == 4  # the panel, its two members, of whom one judged again; all judges
    assert "alpha of all judges, ordinal" in text
    assert "self-consistency" in text
    assert capsys.readouterr().out == ""


def test_labels_in_a_file(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = [json.loads(line) for line in (runs / "again" / "samples_amu.jsonl").read_text().splitlines()]
    labels = tmp_path / "labels.jsonl"
    labels.write_text(
        "".join(json.dumps({"id": s["id"], "label": round(s["score"])}) + "\n" for s in samples)
    )
    assert main(["judge-agreement", str(runs / "again"), "--labels", str(labels), "--resamples", "100"]) == 0
    shown = capsys.readouterr().out
    assert f"labels: {labels}" in shown
    line = next(line for line in shown.splitlines() if line.startswith("agreement within 1"))
    assert line.split()[3] == "1.000"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no run here"),
        (["RUN", "RUN"], "named twice"),
        (["RUN", "--tasks", "mia_bench"], "no verdict of a judge on mia_bench"),
        (["RUN", "--labels", "nowhere.jsonl"], "nowhere.jsonl"),
        (["RUN", "--resamples", "3"], "at least 100"),
        (["RUN", "--bins", "0"], "at least 1"),
        (["RUN", "--lables", "x"], "did you mean '--labels'"),
    ],
)
def test_wrong_usage(
    runs: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(runs / "panel") if word == "RUN" else word for word in arguments]
    try:
        code = main(["judge-agreement", *words])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err


def test_the_truth_of_real_data_is_not_known(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = (runs / "again" / "manifest.json").read_text().replace('"data": "synthetic"', '"data": "path"')
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "journal.jsonl").write_bytes((runs / "again" / "journal.jsonl").read_bytes())
    assert main(["judge-agreement", str(tmp_path), "--labels", "truth"]) == 2
    assert "its truth is not known" in capsys.readouterr().err
