"""The leaderboard in a real browser: sorting, filters, links, colours, small screens, hostile names."""

from pathlib import Path
from typing import Any

import pytest
from board_lab import RunLab

from eval_anything.board.definition import read_definition
from eval_anything.board.site import build

COLUMNS = (
    '[[columns]]\ntitle = "Seeing"\ntask = "amu"\nmetric = "perception"\nunder = "parts"\n'
    '[[columns]]\ntitle = "AMU"\ntask = "amu"\nunder = "whole"\n'
    '[[columns]]\ntitle = "MIA"\ntask = "mia_bench"\nunder = "whole"\n'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("board")
    lab = RunLab(place / "runs")
    for name, level in (("low", 3.0), ("high", 8.0), ("middle", 5.0), ("twin", 5.02)):
        lab.run(name, f"org/{name}", level, ("amu", "mia_bench") if name != "low" else ("amu",))
    for step in (100, 200, 300):
        lab.run(f"c{step}", f"hf//out/a-training-run/checkpoint-{step}", 3 + step / 100)
    lab.run("half", "org/half", 6.0, upto=10)
    lab.run("bad", "org/bad", 6.0, failed=20)
    lab.run("synthetic", "org/high", 6.0, data="synthetic")
    (place / "board.toml").write_text('title = "A board"\nsummary = "Of models."\nrank = "AMU"\n' + COLUMNS)
    build(lab.folder, place / "site", read_definition(str(place / "board.toml")))
    return place / "site"


def shown(page: Any, table: int = 0) -> list[str]:
    rows = page.locator("table.board").nth(table).locator("tbody tr:visible")
    return [row.locator(".model a").inner_text() for row in rows.all()]


def test_every_page_of_the_board_opens_from_disk_without_an_error(site: Path, watched: Any) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 11
    for path in pages:
        watched.open(path)
    watched.check(site)


def test_rows_are_sorted_by_any_column_and_what_has_no_value_stays_last(site: Path, watched: Any) -> None:
    page = watched.open(site / "index.html")
    start = [
        "org/high",
        "hf//out/a-training-run/checkpoint-300",
        "org/twin",
        "org/middle",
        "org/low",
        "org/half",
    ]
    assert (
        sorted(shown(page)) == sorted(start)
        and shown(page)[0] == "org/high"
        and shown(page)[-1] == "org/half"
    )
    head = page.locator("table.board >> nth=0 >> thead tr:last-child th", has_text="AMU")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    values = [float(v) for v in column(page, 3)]
    assert values == sorted(values, reverse=True)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(v) for v in column(page, 3)] == sorted(values)
    page.locator("table.board >> nth=0 >> thead tr:last-child th", has_text="MIA").locator("button").click()
    lacking = [value == "\u2013" for value in column(page, 4)]
    assert lacking == sorted(lacking) and sum(lacking) == 3
    page.locator("table.board >> nth=0 >> thead tr:last-child th", has_text="Rank").locator("button").click()
    assert shown(page)[0] == "org/high" and shown(page)[-1] == "org/half"
    watched.check(site)


def column(page: Any, at: int) -> list[str]:
    cells = page.locator(f"table.board >> nth=0 >> tbody td:nth-child({at + 1})").all()
    return [cell.inner_text().strip().rstrip("*") for cell in cells]


def test_rows_and_columns_are_filtered(site: Path, watched: Any) -> None:
    page = watched.open(site / "index.html")
    assert page.inner_text("#shown") == "7 of 7 rows"
    page.fill("#filter", "ORG hi")
    assert shown(page) == ["org/high"] and page.inner_text("#shown") == "2 of 7 rows"
    page.fill("#filter", "")
    page.check("#finished")
    assert "org/half" not in shown(page) and page.inner_text("#shown") == "6 of 7 rows"
    page.get_by_label("parts").uncheck()
    assert not page.locator("th:has-text('Seeing')").first.is_visible()
    assert page.locator("table.board >> nth=0 >> th:has-text('MIA')").is_visible()
    page.get_by_label("parts").check()
    assert page.locator("th:has-text('Seeing')").first.is_visible()
    watched.check(site)


def test_from_the_table_to_a_model_a_task_and_a_training_run_and_back(site: Path, watched: Any) -> None:
    page = watched.open(site / "index.html")
    page.click("text=checkpoint-300")
    assert "checkpoint-300" in page.inner_text("h1")
    page.click("main p a")
    assert page.locator("tbody tr").count() == 3 and page.locator("svg .line").count() == 2
    page.click("nav >> text=amu")
    assert page.inner_text("h1") == "amu" and page.locator("section.reported").count() == 1
    page.click("nav >> text=Leaderboard")
    page.click("details summary")
    assert page.locator("text=A rank is a range").is_visible()
    watched.check(site)


def test_synthetic_and_reported_numbers_stand_apart_and_say_so(site: Path, watched: Any) -> None:
    page = watched.open(site / "index.html")
    assert page.locator("table.board").count() == 2
    assert shown(page, 1) == ["org/high (synthetic data)"]
    assert "not comparable with any other table" in page.inner_text("section.synthetic .banners")
    assert "Align Anything" in page.inner_text("section.reported >> nth=0")
    assert "answers that failed: 20 of 40" in page.inner_text("[aria-label='Entries that are not shown']")


def test_colours_sizes_labels_and_the_order_of_the_keyboard(site: Path, watched: Any) -> None:
    page = watched.open(site / "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input')].filter(e =>
        !(e.getAttribute('aria-label') || e.closest('label') || e.textContent.trim())).length"""
    )
    assert unnamed == 0
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        for spot in (
            ".place",
            ".chip",
            ".chip.warn",
            ".banners li",
            ".model a",
            "th.ranked",
            ".unfinished",
            ".lead",
        ):
            assert contrast(page, spot) >= 4.5, (theme, spot)
    page.set_viewport_size({"width": 360, "height": 640})
    for path in sorted(site.rglob("*.html")):
        watched.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name
    watched.check(site)


def contrast(page: Any, spot: str) -> float:
    """Of an element's text against what is behind it (WCAG 2.2)."""
    script = """spot => { const element = document.querySelector(spot); let back = element;
        const paint = e => getComputedStyle(e).backgroundColor;
        while (/rgba\\(.*, 0\\)|transparent/.test(paint(back))) back = back.parentElement;
        return [paint(back), getComputedStyle(element).color].map(colour => {
            const c = colour.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; }); }"""
    low, high = sorted(page.evaluate(script, spot))
    return float((high + 0.05) / (low + 0.05))


def test_hostile_names_execute_nothing_and_break_nothing(watched: Any, tmp_path: Path) -> None:
    lab = RunLab(tmp_path / "runs")
    hostile = (
        "<script>window.hit=1</script>",
        '"><img src=x onerror="window.hit=1">',
        "</td></tr></table><h1>mine</h1>",
        "javascript:window.hit=1//checkpoint-3",
        "a\u202eb",
        "w" * 5000,
    )
    for number, bad in enumerate(hostile):
        lab.run(f"r{number}", bad, 5.0, ("amu", bad), n=8, judge=bad, profile=bad, notes=(bad,))
    build(lab.folder, tmp_path / "site")
    for path in sorted((tmp_path / "site").rglob("*.html")):
        page = watched.open(path)
        assert page.evaluate("window.hit") is None, path.name
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200, path.name
    page = watched.open(tmp_path / "site" / "index.html")
    page.fill("#filter", "<script>")
    assert shown(page) == ["<script>window.hit=1</script>"]
    watched.check(tmp_path / "site")
