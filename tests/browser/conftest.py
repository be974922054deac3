"""A real browser without network, whose pages may say and load nothing that they should not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REQUIRED = os.environ.get("EVAL_ANYTHING_BROWSER") == "required"
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")  # while it lives its loop runs in this thread, and nothing else can run one
def launched() -> Iterator[Any]:
    program = chromium()
    if program is None:
        told = "browser tests did not run: no chromium on this machine (Debian: apt-get install chromium)"
        if REQUIRED:
            pytest.fail(told)
        pytest.skip(told)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield browser
        browser.close()


class Watched:
    """A page, and everything that it should not have done."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("requestfailed", lambda request: self._failed(request))

    def _failed(self, request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # a medium that is no longer needed
            self.faults.append(f"failed: {request.url}")

    def open(self, path: Path, fragment: str = "") -> Any:
        self.page.goto(path.resolve().as_uri() + fragment)
        return self.page

    def check(self, folder: Path) -> None:
        """No error, no warning, nothing from outside of `folder`."""
        assert self.faults == []
        inside = folder.resolve().as_uri()
        assert [url for url in self.asked if not url.startswith((inside, "data:", "blob:"))] == []


@pytest.fixture
def watched(launched: Any) -> Iterator[Watched]:
    context = launched.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    yield Watched(context.new_page())
    context.close()
