"""The report in a real browser: samples, filters, permalinks, media, keys, and what hostile strings do."""

from pathlib import Path
from typing import Any

import pytest
from report.test_report_site import hostile_run  # type: ignore[import-not-found]

import eval_anything
from eval_anything.report.site import build_report


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pages")
    for name, model in (("a", "fake/echo"), ("b", "fake/constant")):
        eval_anything.evaluate(model=model, tasks=["amu"], data="synthetic:n=24", out=place / name)
    return build_report([place / "a", place / "b"], place / "site").parent


def test_every_page_opens_from_disk_without_an_error(site: Path, watched: Any) -> None:
    for page in sorted(site.rglob("*.html")):
        watched.open(page)
    watched.check(site)


def test_from_the_overview_to_a_sample_with_its_media(site: Path, watched: Any) -> None:
    page = watched.open(site / "index.html")
    page.click("main a:text('amu')")
    page.click("text=Look at the 24 samples")
    page.wait_for_selector("#list a")
    assert page.locator("#list a").count() == 24
    page.click("#list a >> nth=3")
    page.wait_for_selector("#sample .run")
    assert page.locator("#sample .run").count() == 2
    sound = page.locator("#sample audio").first
    # Not by `wait_for_function`: it asks again by eval, which the pages' own security policy forbids.
    heard = sound.evaluate(
        "player => new Promise((done, fail) => { player.muted = true;"
        " player.ontimeupdate = () => player.currentTime > 0 && done(player.currentTime);"
        " player.play().catch(fail); })"
    )
    assert heard > 0
    shown = page.locator("#sample img, #sample video").first
    assert shown.evaluate("m => m.tagName === 'IMG' ? m.decode().then(() => m.naturalWidth) : 1") > 0
    watched.check(site)


def test_filters_search_order_and_keys(site: Path, watched: Any) -> None:
    from playwright.sync_api import expect

    page = watched.open(site / "samples" / "amu.html")
    page.wait_for_selector("#list a")
    page.select_option("#group", "safety")
    safety = page.locator("#list a").count()
    assert 0 < safety < 24
    assert page.inner_text("#count") == f"{safety} of 24"
    page.select_option("#group", "")
    page.keyboard.press("Escape")
    page.locator("#list").focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.type("twin-0007")
    assert page.locator("#list a").count() == 1
    page.fill("#query", "")
    page.select_option("#order", "id")
    page.locator("#list").focus()
    page.keyboard.press("j")
    page.wait_for_selector("#sample .run")
    first = page.inner_text("#sample h2 >> nth=0")
    page.keyboard.press("j")
    expect(page.locator("#sample h2").first).not_to_have_text(first)
    page.keyboard.press("k")
    expect(page.locator("#sample h2").first).to_have_text(first)
    watched.check(site)


def test_a_permalink_leads_to_its_sample(site: Path, watched: Any) -> None:
    page = watched.open(site / "samples" / "amu.html", "#id=twin-0005&repeat=0")
    page.wait_for_selector("#sample .run")
    assert page.inner_text("#sample h2 >> nth=0") == "twin-0005"
    assert page.locator("#list a[aria-current]").count() == 1
    watched.open(site / "samples" / "amu.html", "#id=nobody")
    page.reload()
    page.wait_for_selector("text=There is no sample nobody here.")


def test_light_dark_and_small(site: Path, watched: Any) -> None:
    page = watched.open(site / "tasks" / "amu.html")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.set_viewport_size({"width": 360, "height": 640})
    for name in ("index.html", "tasks/amu.html", "samples/amu.html"):
        watched.open(site / name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name


def test_what_those_who_do_not_see_the_page_are_told(site: Path, watched: Any) -> None:
    page = watched.open(site / "samples" / "amu.html")
    page.wait_for_selector("#list a")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the way past the menu comes first"
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, select')].filter(e =>
        !(e.getAttribute('aria-label') || e.closest('label') || e.textContent.trim())).length"""
    )
    assert unnamed == 0
    assert page.evaluate("document.documentElement.lang") == "en"
    watched.open(site / "tasks" / "amu.html")
    assert page.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))")
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert contrast(page, "--ink") >= 7
        assert contrast(page, "--soft") >= 4.5
        assert contrast(page, "--link") >= 4.5


def contrast(page: Any, name: str) -> float:
    """Of a colour against the page's (WCAG 2.2)."""
    script = """name => ['--paper', name].map(n => {
        const e = document.createElement('i'); e.style.color = `var(${n})`; document.body.append(e);
        const c = getComputedStyle(e).color.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        e.remove(); return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; })"""
    low, high = sorted(page.evaluate(script, name))
    return float((high + 0.05) / (low + 0.05))


def test_hostile_strings_execute_nothing_and_break_nothing(watched: Any, tmp_path: Path) -> None:
    out = build_report([hostile_run(tmp_path / "run")], tmp_path / "site").parent
    for path in sorted(out.rglob("*.html")):
        page = watched.open(path)
    page.set_viewport_size({"width": 800, "height": 600})
    watched.open(next((out / "samples").iterdir()))
    page.wait_for_selector("#list a")
    for number in range(page.locator("#list a").count()):
        page.locator("#list a").nth(number).click()
        page.wait_for_selector("#sample .run")
        for summary in page.locator("#sample summary").all():
            summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    watched.check(out)
