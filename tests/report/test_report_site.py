"""Reports as folders: what is in them, what never gets in, and what they replace."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE
from run_files import RunFiles

import eval_anything
from eval_anything.errors import DataError, UsageError
from eval_anything.report.script import literal
from eval_anything.report.site import build_report
from eval_anything.report.strings import is_media_path, slugs, tame, tamed
from eval_anything.stats.aggregate import Means


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("runs")
    for name, model, options in (
        ("echo", "fake/echo", {}),
        ("constant", "fake/constant", {"reply": "Three red circles."}),
    ):
        tasks = ["amu", "amg_selection"]
        eval_anything.evaluate(
            model=model, model_options=options, tasks=tasks, data="synthetic:n=12", out=place / name
        )
    return [place / "echo", place / "constant"]


@pytest.fixture(scope="module")
def site(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "report"
    assert build_report(runs, out) == out / "index.html"
    return out


def called(path: Path, name: str) -> list[Any]:
    """The values in a data file."""
    text = path.read_text()
    assert text.startswith(f"EA.{name}(") and text.endswith(");\n")
    values: list[Any] = json.loads(f"[{text[len(name) + 4 : -3]}]")
    return values


def test_every_sample_is_there_once_with_both_runs_side_by_side(site: Path) -> None:
    task, size, index = called(site / "data" / "amu" / "index.js", "index")
    assert (task, size, len(index)) == ("amu", 100, 12)
    _, number, page = called(site / "data" / "amu" / "1.js", "page")
    assert number == 1
    assert [row["id"] for row in page] == [entry[0] for entry in index] == sorted(entry[0] for entry in index)
    for entry, row in zip(index, page, strict=True):
        assert [own[0] for own in entry[4]] == [own.get("score") for own in row["runs"]]
        assert row["runs"][1]["parts"] == [{"type": "text", "text": "Three red circles."}]
        assert len(row["references"]) == 10


def test_media_are_copied_by_their_hash_and_only_those_that_are_shown(site: Path) -> None:
    text = (site / "data" / "amu" / "1.js").read_text()
    shown = set(re.findall(r"media/[0-9a-f]{2}/[0-9a-f]{64}\.\w+", text))
    assert shown
    for other in ("amg_selection",):
        shown |= set(
            re.findall(r"media/[0-9a-f]{2}/[0-9a-f]{64}\.\w+", (site / "data" / other / "1.js").read_text())
        )
    held = {path.relative_to(site).as_posix() for path in (site / "media").rglob("*") if path.is_file()}
    assert held == shown


def test_pages_hold_tables_banners_and_the_figures_of_the_paper(site: Path) -> None:
    overview = (site / "index.html").read_text()
    assert "tasks/amu.html" in overview and "fake/constant" in overview
    amu = (site / "tasks" / "amu.html").read_text()
    assert "synthetic data: not comparable with published numbers" in amu
    assert "Answers and reference answers by the words that they share" in amu
    assert amu.count("<svg") >= 4
    selection = (site / "tasks" / "amg_selection.html").read_text()
    assert "Modalities chosen" in selection and ">tia<" in selection


def test_nothing_is_loaded_from_elsewhere_and_no_code_stands_in_a_page(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert "default-src 'none'" in text
        assert not re.search(r"(src|href)=\"(https?:|//)", text)
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)
        assert " style=" not in text and " onclick=" not in text


def test_a_report_replaces_itself_and_nothing_else(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "report"
    build_report(runs[:1], out)
    (out / "old.txt").write_text("x")
    build_report(runs[1:], out)
    assert not (out / "old.txt").exists()
    assert list(tmp_path.iterdir()) == [out], "no leftovers"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="exists, and is no report"):
        build_report(runs[:1], mine)
    assert (mine / "thesis.tex").is_file()


def test_runs_are_told_apart_and_none_is_named_twice(runs: list[Path], tmp_path: Path) -> None:
    import shutil

    for place in ("one", "two"):
        shutil.copytree(runs[0], tmp_path / place / "run")
    both = [tmp_path / "one" / "run", tmp_path / "two" / "run"]
    text = (build_report(both, tmp_path / "site")).read_text()
    assert all(str(folder) in text for folder in both)
    with pytest.raises(UsageError, match="named twice"):
        build_report([runs[0], runs[0]], tmp_path / "again")


def hostile_run(folder: Path) -> Path:
    folder.mkdir()
    files = RunFiles(folder)
    writable = [text.encode("utf-8", "replace").decode() for text in HOSTILE]
    groups = tuple(dict.fromkeys(text for text in writable if text))
    means = Means(overall=writable[1], groups=groups, low=0, high=10)
    plan = files.plan(planned=len(writable), aggregation=means, judge=writable[2], notes=(writable[0],))
    files.manifest(plan, model=writable[0], notes=(writable[1],))
    for i, text in enumerate(writable):
        name = f"{i} {text}"
        files.response(
            name, group=text, cluster=text, finish_reason=text, notes=(text,), metadata={text: text}
        )
        details = {"replies": [text], text: {text: [text]}}
        files.score(name, float(i % 10), judge=text, details=details, components={text: 1.0}, reason="")
    return files.save()


def test_hostile_strings_get_nowhere(tmp_path: Path) -> None:
    run = hostile_run(tmp_path / "run")
    out = build_report([run], tmp_path / "site").parent
    for path in out.rglob("*"):
        assert path.resolve().is_relative_to(out.resolve())
        if path.suffix in (".html", ".js") and "assets" not in path.parts:
            text = path.read_text()
            assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", text), path
            if path.suffix == ".html":
                assert "<script>" not in text and "<img src=x" not in text and "<svg onload" not in text
            else:
                assert "<" not in text and "\u2028" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "site"]


def test_unfinished_and_damaged_runs(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    files = RunFiles(folder)
    files.manifest(files.plan(planned=9))
    files.response("a")
    files.save()
    out = build_report([folder], tmp_path / "site").parent
    assert "UNFINISHED: 0 of 9" in (out / "index.html").read_text()
    (folder / "results.json").write_text("{")  # rebuilt from the journal
    build_report([folder], out)
    (folder / "journal.jsonl").write_bytes(b"not json\n")
    with pytest.raises(DataError, match=r"journal\.jsonl, line 1: damaged"):
        build_report([folder], out)
    assert (out / "index.html").is_file(), "what was there stays"


def test_strings_are_tamed() -> None:
    assert tame("a\nb\tc") == "a\nb\tc"
    assert tame("a\u202eb\x1bc") == "a\ufffdb\ufffdc"
    assert tame("x" * 30_000).endswith("[10,000 more characters]")
    assert tamed({"\x00": ("\x01", 1, None)}) == {"\ufffd": ["\ufffd", 1, None]}
    assert literal("</script>\u2028&") == b'"\\u003c/script\\u003e\\u2028\\u0026"'


@pytest.mark.parametrize(
    "path", ["../x.png", "media/ab/../x.png", "/etc/passwd", "media/ab/short.png", 3, None, ""]
)
def test_only_the_stores_own_paths_are_media(path: object) -> None:
    assert not is_media_path(path)
    assert is_media_path(f"media/ab/{'0' * 64}.png")


def test_file_names_of_tasks_are_safe_and_apart() -> None:
    found = slugs(["a/b", "a:b", "../x", "A-B", "", "x" * 200, "\u202e"])
    assert len({name.lower() for name in found.values()}) == 7
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,90}", name) for name in found.values())
