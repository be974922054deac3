"""`eval-anything leaderboard`: exit codes, what is printed, a run of the real command from end to end."""

import json
from pathlib import Path

import pytest
from board_lab import RunLab

from eval_anything.cli.main import main


@pytest.fixture
def lab(tmp_path: Path) -> RunLab:
    return RunLab(tmp_path / "runs")


def leaderboard(*words: object) -> int:
    return main(["leaderboard", *map(str, words)])


def test_from_runs_by_submissions_to_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, site = tmp_path / "board", tmp_path / "site"
    for model in ("fake/echo", "fake/constant"):
        run = tmp_path / "runs" / model[5:]
        data = ["--data", "synthetic:n=12", "--out", str(run)]
        assert main(["run", "--model", model, "--tasks", "amu", *data]) == 0
        assert leaderboard("add", run, "--to", board, "--name", f"My {model}") == 0
    said = capsys.readouterr()
    assert "note: synthetic data: shown apart" in said.err
    assert "note: amu: judged by reference, which is not the protocol's judge" in said.err
    assert leaderboard("build", "--runs", board, "--out", site, "--definition", "eval_anything") == 0
    assert capsys.readouterr().out == f"wrote {site / 'index.html'}\n"
    found = json.loads((site / "index.json").read_text())
    assert [table["data"] for table in found["tables"]] == ["synthetic"]
    assert {row["name"] for row in found["tables"][0]["rows"]} == {"My fake/echo", "My fake/constant"}
    assert found["ranked_by"] == "Overall" and len(found["reported"]) == 1


def test_what_is_refused_has_exit_code_2_and_its_reasons(
    lab: RunLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "board"
    assert leaderboard("add", lab.run("half", "org/h", 5.0, upto=8), "--to", board) == 2
    assert "half: not accepted:\n  amu: answers without a score: 32 of 40" in capsys.readouterr().err
    assert leaderboard("add", lab.run("a", "org/a", 5.0), "--to", board) == 0
    other = lab.run("b", "org/b", 5.0, identity={"judge": {"name": "other"}})
    assert leaderboard("add", other, "--to", board) == 2
    assert "amu: not measured like org-a-" in capsys.readouterr().err
    assert len(list(board.iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "--runs", "none", "--out", "site"], "none: no such folder"),
        (["build", "--runs", "runs", "--out", "site", "--definition", "externl"], "did you mean 'external'"),
        (["add", "none", "--to", "board"], "none: no run and no baseline file"),
        (["add", "runs/a", "--to", "board", "--series", "s"], "--series and --step go together"),
        (["add", "runs/a", "--to", "board", "--series", "s", "--step", "-1"], "--step must be at least 0"),
        (["add", "runs/a", "--to", "runs/a/manifest.json"], "is no folder"),
        (["build", "--runs", "runs", "--out", "runs"], "is no leaderboard"),
    ],
)
def test_wrong_usage_has_exit_code_2(
    words: list[str], said: str, lab: RunLab, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    lab.run("a", "org/a", 5.0)
    monkeypatch.chdir(tmp_path)
    assert leaderboard(*words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["bild"], ["build", "--run", "x"], ["add", "x"]])
def test_wrong_options_have_exit_code_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        leaderboard(*words)
    assert stopped.value.code == 2


def test_unfinished_and_left_out_runs_are_named(
    lab: RunLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.run("a", "org/a", 5.0)
    lab.run("half", "org/h\u202e\x1b[31m", 5.0, upto=8)
    lab.run("bad", "org/bad", 5.0, failed=20)
    assert leaderboard("build", "--runs", lab.folder, "--out", tmp_path / "site") == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "unfinished, not ranked: org/h[31m"
    assert said[1].startswith("left out: bad: amu: answers that failed: 20 of 40")


def test_a_site_that_cannot_be_written_is_said(
    lab: RunLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.run("a", "org/a", 5.0)
    (tmp_path / "file").write_text("")
    assert leaderboard("build", "--runs", lab.folder, "--out", tmp_path / "file" / "site") == 3
    assert "cannot be written" in capsys.readouterr().err
