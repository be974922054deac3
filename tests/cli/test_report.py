from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from eval_anything.cli import report
from eval_anything.cli.main import main
from eval_anything.results.results import build, write
from eval_anything.results.table import FORMATS, Format, render
from eval_anything.results.values import Results
from eval_anything.stats.aggregate import Means
from eval_anything.stores.journal import Journal
from eval_anything.stores.manifest import Manifest, TaskPlan, write_manifest
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.values import Message, Response, Sample, Score, Text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "omni-small"
    run.mkdir()
    plan = TaskPlan(
        name="amu",
        version="1",
        fingerprint="f",
        data="synthetic",
        revision="r",
        planned=2,
        aggregation=Means(overall="AMU", low=1, high=10),
        judge="reference",
        protocol_judge=False,
    )
    manifest = Manifest(
        created="2026-01-02T03:04:05Z", model="fake/echo", tasks=(plan,), config={}, versions={}
    )
    write_manifest(run / "manifest.json", manifest)
    with Journal(run / "journal.jsonl") as journal:
        for name, value in (("a", 4), ("b", 8)):
            sample = Sample(id=name, messages=(Message("user", (Text("?"),)),))
            where = {"task": "amu", "id": name, "repeat": 0, "fingerprint": "f", "time": 1.0}
            journal.append(ResponseRow(**where, sample=sample, response=Response(parts=(Text("!"),))))
            journal.append(ScoreRow(**where, score=Score(value=value, state="scored", judge="reference")))
    return run


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "html"])
def test_every_format_is_printed(folder: Path, format: Format, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--format", format]) == 0
    shown = capsys.readouterr().out
    assert [line.rstrip() for line in shown.splitlines()] == render(build(folder), format).splitlines()


def test_html_is_a_folder_of_pages(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--format", "html"]) == 0
    assert (folder / "report" / "index.html").is_file()
    other = shutil.copytree(folder, tmp_path / "later" / folder.name)
    assert main(["report", str(folder), str(other), "--format", "html"]) == 2
    assert "name a folder with --out" in capsys.readouterr().err
    site = ["--format", "html", "--out", str(tmp_path / "site")]
    assert main(["report", str(folder), str(folder), *site]) == 2
    assert "is named twice" in capsys.readouterr().err
    assert main(["report", str(folder), str(other), *site]) == 0
    assert (tmp_path / "site" / "samples" / "amu.html").is_file()


def test_several_runs_stand_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), str(folder), "--format", "md"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# 2 runs\n")
    assert sum("AMU" in line for line in shown.splitlines()) == 1
    assert main(["report", str(folder), str(folder), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_the_formats_of_the_help_are_those_there_are() -> None:
    assert get_args(Format) == report._FORMATS


def test_json_is_short_for_a_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Results) == build(folder)


def test_out_writes_a_file_and_prints_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "results.md"
    assert main(["report", str(folder), "--format", "md", "--out", str(out)]) == 0
    assert out.read_text() == render(build(folder), "md")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"wrote {out}\n")


def test_out_into_no_folder_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--out", str(folder / "no" / "x.txt")]) == 3
    assert "x.txt: cannot be written: No such file or directory" in capsys.readouterr().err


def test_samples_are_written_into_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--json", "--samples"]) == 0
    path = folder / "samples_amu.jsonl"
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "b"]
    shown = capsys.readouterr()
    assert shown.err == f"wrote {path}\n"
    json.loads(shown.out)


def test_a_report_changes_no_results(folder: Path) -> None:
    main(["report", str(folder)])
    assert not (folder / "results.json").exists()
    path = write(folder, build(folder))
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    main(["report", str(folder)])
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_what_is_no_run_is_named_with_the_nearest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder.parent / "omni_smal")]) == 2
    error = capsys.readouterr().err
    assert "omni_smal: no run here: it has no manifest.json" in error
    assert error.strip().endswith(f"did you mean {folder}?")
    assert error.count("\n") == 1


def test_an_unknown_format_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(folder), "--format", "xml"])
    assert stopped.value.code == 2


def test_importing_the_verb_is_light() -> None:
    code = (
        "import sys, eval_anything.cli.report; "
        "print([m for m in ('numpy', 'rich', 'tabulate', 'msgspec', 'av', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
