"""The site: what stands in which table, and that hostile strings do nothing in it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from board_lab import RunLab

from eval_anything.board.definition import read_definition
from eval_anything.board.entry import About
from eval_anything.board.site import MARK, build
from eval_anything.board.submit import submit
from eval_anything.errors import DataError, UsageError


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def tables_of(site: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((site / "index.json").read_text())["tables"]
    return found


def names(table: dict[str, Any]) -> list[str]:
    return [row["name"] for row in table["rows"]]


def test_rows_are_kept_apart_by_data_and_by_how_they_were_measured(lab: RunLab, tmp_path: Path) -> None:
    lab.run("a", "org/a", 6.0)
    lab.run("b", "org/b", 3.0)
    lab.run("s", "org/a", 9.0, data="synthetic")
    lab.run("j", "org/j", 5.0, identity={"judge": {"name": "other"}})
    lab.run("p", "org/p", 5.0, data="path")
    site = tmp_path / "site"
    build(lab.folder, site)
    found = tables_of(site)
    assert [(table["data"], names(table)) for table in found] == [
        ("hub", ["org/a", "org/b"]),
        ("hub", ["org/j"]),
        ("path", ["org/p"]),
        ("synthetic", ["org/a (synthetic data)"]),
    ]
    assert found[1]["measured_otherwise"] == ["amu: judge.name: 'gpt' -> 'other'"]
    page = Page(site / "index.html").text
    assert "synthetic data: a check of the machinery" in page
    assert "not comparable with the first such table" in page and "judge.name" in page
    task = json.loads((site / "tasks" / "amu.json").read_text())
    assert [names(table) for table in task["tables"]] == [names(table) for table in found]


def test_numbers_that_others_report_stand_in_tables_of_their_own(lab: RunLab, tmp_path: Path) -> None:
    lab.run("a", "org/a", 6.0)
    build(lab.folder, tmp_path / "site")
    found = json.loads((tmp_path / "site" / "index.json").read_text())
    assert all("GPT-4o" not in names(table) for table in found["tables"])
    (source,) = found["reported"]
    assert source["source"]["where"] == "Table 4"
    by_model = {row["model"]: row["numbers"]["amu"] for row in source["rows"]}
    assert by_model["Gemini-1.5-Pro"] == {"value": 6.11, "status": "published", "remarks": ""}
    text = Page(tmp_path / "site" / "index.html").text
    assert text.index("not measured here") > text.index("org/a")


def test_every_page_has_its_json_and_every_link_leads_to_a_file(lab: RunLab, tmp_path: Path) -> None:
    for step in (100, 200):
        lab.run(f"c{step}", f"hf//out/checkpoint-{step}", 5.0)
    lab.run("a", "org/a", 6.0, ("amu", "mia_bench"))
    site = tmp_path / "site"
    build(lab.folder, site)
    pages = sorted(site.rglob("*.html"))
    assert {str(page.relative_to(site)) for page in pages} == {
        "index.html", "models/org-a.html", "models/hf-out-checkpoint-200.html",
        "tasks/amu.html", "tasks/mia_bench.html", "series/hf-out.html",
    }  # fmt: skip
    for page in pages:
        assert json.loads(page.with_suffix(".json").read_text())["format"] == 1
        for tag, attributes in Page(page).tags:
            target = attributes.get("href") or attributes.get("src")
            if target and tag != "link" and not target.startswith(("https://", "#")):
                assert (page.parent / target).resolve().is_file(), f"{page}: {target}"
                assert site.resolve() in (page.parent / target).resolve().parents
    steps = json.loads((site / "series" / "hf-out.json").read_text())["checkpoints"]
    assert [row["step"] for row in steps] == [100, 200]
    assert all(row["numbers"]["amu"]["low"] < row["numbers"]["amu"]["value"] for row in steps)


def test_a_half_finished_run_is_shown_says_so_and_has_no_rank(lab: RunLab, tmp_path: Path) -> None:
    lab.run("a", "org/a", 6.0)
    lab.run("half", "org/half", 8.0, upto=10)
    build(lab.folder, tmp_path / "site")
    (table,) = tables_of(tmp_path / "site")
    assert names(table) == ["org/a", "org/half"]
    assert [row["numbers"]["amu"]["rank"] for row in table["rows"]] == [[1, 1], None]
    assert "1 row of runs that are not finished" in Page(tmp_path / "site" / "index.html").text
    model = Page(tmp_path / "site" / "models" / "org-half.html").text
    assert "unfinished: 10 of 40 responses" in model


def test_a_run_with_too_many_errors_is_left_out_and_it_is_said_why(lab: RunLab, tmp_path: Path) -> None:
    lab.run("a", "org/a", 6.0)
    lab.run("bad", "org/bad", 6.0, failed=20)
    build(lab.folder, tmp_path / "site")
    found = json.loads((tmp_path / "site" / "index.json").read_text())
    assert [names(table) for table in found["tables"]] == [["org/a"]]
    (left,) = found["left_out"]
    assert left["file"] == "bad" and "answers that failed: 20 of 40" in left["reasons"][0]
    assert "answers that failed: 20 of 40" in Page(tmp_path / "site" / "index.html").text
    (lab.folder / "a").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="nothing to show"):
        build(lab.folder, tmp_path / "site")


def test_damaged_results_are_built_anew_and_a_damaged_journal_is_refused_by_name(
    lab: RunLab, tmp_path: Path
) -> None:
    run = lab.run("a", "org/a", 6.0)
    (run / "results.json").write_text('{"format": 1, "model": ')
    build(lab.folder, tmp_path / "site")
    (table,) = tables_of(tmp_path / "site")
    assert 5 < table["rows"][0]["numbers"]["amu"]["value"] < 7
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run / "journal.jsonl").write_bytes(b"".join([*lines[:3], b"{broken\n", *lines[3:]]))
    before = (tmp_path / "site" / "index.html").read_bytes()
    with pytest.raises(DataError, match=r"journal\.jsonl, line 4: damaged"):
        build(lab.folder, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").read_bytes() == before


def test_a_site_replaces_itself_and_nothing_else(lab: RunLab, tmp_path: Path) -> None:
    lab.run("a", "org/a", 6.0)
    site = tmp_path / "site"
    build(lab.folder, site)
    (site / "models" / "old.html").write_text("of a model that is gone")
    build(lab.folder, site)
    assert not (site / "models" / "old.html").exists() and (site / MARK).is_file()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is no leaderboard"):
        build(lab.folder, mine)
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "runs", "site"]


def test_a_definition_orders_groups_and_weighs_columns(lab: RunLab, tmp_path: Path) -> None:
    lab.run("a", "org/a", 6.0, ("amu", "mia"))
    lab.run("b", "org/b", 3.0, ("amu", "mia"))
    file = tmp_path / "board.toml"
    file.write_text(
        'title = "Mine"\n'
        '[[columns]]\ntitle = "Seeing"\ntask = "amu"\nmetric = "perception"\nunder = "parts"\n'
        '[[columns]]\ntitle = "Understanding"\ntask = "amu"\nweight = 2\n'
        '[[columns]]\ntitle = "MIA"\ntask = "mia"\nweight = 1\n'
    )
    build(lab.folder, tmp_path / "site", read_definition(str(file)))
    (table,) = tables_of(tmp_path / "site")
    best = table["rows"][0]["numbers"]
    assert list(best) == ["Average", "Seeing", "Understanding", "MIA"]
    two = [(best[name]["value"] - 1) / 9 * 100 for name in ("Understanding", "MIA")]
    assert best["Average"]["value"] == pytest.approx((2 * two[0] + two[1]) / 3)
    assert best["Average"]["rank"] == [1, 1]
    assert "Mine" in Page(tmp_path / "site" / "index.html").text


HOSTILE = [
    "<script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "'; window.hit=1; //",
    "</title></table><svg onload=window.hit=1>",
    "javascript:window.hit=1",
    "../../../../escaped",
    "a\u202egnp.exe\u2066",
    "line\u2028break\u0000\u001b[31m\r\n",
    "..",
    "&lt;b&gt;",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "x" * 1_000_000,
]


@pytest.mark.parametrize("bad", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_strings_in_every_field_do_nothing(bad: str, lab: RunLab, tmp_path: Path) -> None:
    board, site = tmp_path / "board", tmp_path / "site"
    said: dict[str, Any] = {"judge": bad, "profile": bad, "version": bad, "revision": bad, "notes": (bad,)}
    lab.run("a", bad, 6.0, n=8, manifest={"notes": (bad,)}, **said)
    lab.run("b", "org/b", 5.0, n=8, identity={bad: {bad: bad}}, **said)
    lab.run("c", f"hf/{bad}/checkpoint-3", 4.0, (bad or "t",), n=8, **said)
    lab.run("half", bad + "2", 4.0, n=8, upto=4, **said)
    submit(
        lab.run("sub", "org/s", 5.0, n=8, identity={"judge": {"name": bad}}),
        board,
        About(name=bad, series=bad, step=7),
    )
    for path in board.iterdir():
        path.rename(lab.folder / path.name)
    build(lab.folder, site)
    check_harmless(site)
    outside = sorted(path.name for path in tmp_path.iterdir())
    assert outside == ["board", "runs", "site"]


def check_harmless(site: Path) -> None:
    for path in site.rglob("*"):
        assert path.is_dir() or re.fullmatch(
            r"[A-Za-z0-9_-]{1,90}\.(html|json|js|css)|\.[a-z-]+", path.name
        ), path
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert len(text) < 200_000
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u0000\u001b]", text)
        for tag, attributes in Page(path).tags:
            assert tag not in ("img", "iframe", "object", "base", "style"), f"{path}: {tag}"
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            if tag == "script":
                assert re.fullmatch(r"(\.\./)?assets/\w+\.js", attributes["src"] or "")
            target = attributes.get("href") or ""
            if tag == "a" and not target.startswith(("https://arxiv.org/", "https://github.com/", "#")):
                assert (path.parent / target).resolve().is_file(), f"{path}: {target}"
    for path in site.rglob("*.json"):
        raw = path.read_text(encoding="utf-8")
        assert json.loads(raw) and "<" not in raw and "\u202e" not in raw
