"""`synth`: one folder for each task, groups by one name, nothing overwritten."""

import json
from pathlib import Path

import pytest

from eval_anything.cli.main import main


def test_a_group_is_written_task_by_task_and_each_can_be_run_from_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "twins"
    assert main(["synth", "--tasks", "amg", "--out", str(out), "--n", "3", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert set(written) == {folder.name for folder in out.iterdir()}
    assert {"amg_instruction_audio", "amg_selection", "amg_synergy"} <= set(written)
    again = ["synth", "--tasks", "amg_selection", "--out", str(out), "--n", "3"]
    assert main(again) == 2
    assert "exists already" in capsys.readouterr().err
    run = ["run", "--model", "fake/echo", "--tasks", "amg_selection", "--judge", "votes", "--json"]
    assert main([*run, "--data", written["amg_selection"], "--out", str(tmp_path / "run")]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"][0]["metrics"][0]["n_scored"] == 3
