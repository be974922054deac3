"""The frame of every page: head, policy, links between pages, footer; and tables and lists of cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from eval_anything.results.escape import html

POLICY = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; script-src 'self'"
"""Nothing but the folder's own files is ever loaded, and no code but its own scripts runs."""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}assets/style.css">
<script src="{root}assets/page.js" defer></script>
{scripts}</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><nav aria-label="Pages">{links}</nav>
<button type="button" id="theme" aria-label="Switch between light and dark">&#9681;</button></header>
<main id="main" tabindex="-1">
{body}
</main>
<footer>{footer}</footer>
</body>
</html>
"""


class Link(NamedTuple):
    label: str
    target: str
    """Relative to the site's root."""


class Site(NamedTuple):
    """What the pages of one folder share."""

    out: Path
    links: tuple[Link, ...]
    footer: str

    def write(self, name: str, title: str, body: str, scripts: Sequence[str] = ()) -> None:
        """Write page `name` ("index.html", "models/a.html"); `scripts` are relative to the root."""
        root = "../" * name.count("/")
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            _PAGE.format(
                policy=POLICY,
                title=html(title),
                root=root,
                scripts="".join(f'<script src="{root}{html(s)}" defer></script>\n' for s in scripts),
                links="".join(_link(link, root, name) for link in self.links),
                body=body,
                footer=html(self.footer),
            ),
            encoding="utf-8",
        )

    def copy_assets(self, names: Iterable[str]) -> None:
        """Put the package's own style sheet and scripts into the folder."""
        folder = self.out / "assets"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).write_bytes(files("eval_anything.report").joinpath("assets", name).read_bytes())


def _link(link: Link, root: str, page: str) -> str:
    current = ' aria-current="page"' if link.target == page else ""
    return f'<a href="{root}{html(link.target)}"{current}>{html(link.label)}</a>'


class Cell(NamedTuple):
    """One cell of a table: harmless HTML, and what it is sorted by."""

    html: str
    key: float | str | None = None
    number: bool = False


def text(value: str) -> Cell:
    return Cell(html(value), value)


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], label: str, *, sortable: bool = False) -> str:
    """A table that scrolls by itself on narrow screens; `label` names it for those who cannot see it."""
    kind = ' class="sortable"' if sortable else ""
    head = "".join(f'<th scope="col">{html(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{html(label)}" tabindex="0">'
        f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    key = "" if cell.key is None else f' data-key="{html(str(cell.key))}"'
    kind = ' class="number"' if cell.number else ""
    return f"<td{kind}{key}>{cell.html}</td>"


def listed(lines: Iterable[str], kind: str = "") -> str:
    """Lines as a list; nothing where there are none."""
    items = "".join(f"<li>{html(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{items}</ul>' if items else ""
