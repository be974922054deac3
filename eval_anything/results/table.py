"""Results as a terminal table, Markdown, LaTeX, HTML, CSV and JSON."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from eval_anything.results import escape
from eval_anything.results.layout import INDENT, NUMERIC, Block, Page, page, several

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from eval_anything.results.values import Results

Format = Literal["table", "md", "csv", "json", "latex", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
_WIDTH = 200
"""Of text that is no terminal: names of metrics are long, and a folded table cannot be read."""


def render(results: Results, format: Format) -> str:
    """`results` as text that ends with a newline. Every string in it is escaped for the format."""
    return render_several([results], format)


def render_several(runs: Sequence[Results], format: Format) -> str:
    """Several runs side by side; in CSV one under the other, in JSON a list of them (of one, that one)."""
    if format == "csv":
        return _csv(runs)
    if format == "json":
        return _json(runs)
    return _RENDERERS[format](page(runs[0]) if len(runs) == 1 else several(runs))


def print_table(results: Results | Sequence[Results], console: Console | None = None) -> None:
    """The terminal table; colours and width are the console's (default: of standard output)."""
    runs = results if isinstance(results, Sequence) else [results]
    _print_page(page(runs[0]) if len(runs) == 1 else several(runs), console)


def _print_page(content: Page, console: Console | None) -> None:
    from rich.console import Console as NewConsole
    from rich.text import Text

    if console is None:
        # Without a terminal to fit into, the 80 columns that rich assumes would fold the table.
        console = NewConsole(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)

    def say(line: str, style: str = "") -> None:
        # Text, never a markup string: brackets in a model's name are not styles.
        console.print(Text(escape.plain(line), style=style))

    say(content.title, "bold")
    for banner in content.banners:
        say(f"! {banner}", "bold yellow")
    for block in content.blocks:
        console.print()
        say(block.title, "bold")
        for banner in block.banners:
            say(f"! {banner}", "bold yellow")
        console.print(_rich_table(block))
        for line in block.lines:
            say(line)
    for line in content.lines:
        say(line)


def _rich_table(block: Block) -> Table:
    from rich import box
    from rich.table import Table as NewTable
    from rich.text import Text

    table = NewTable(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for index, column in enumerate(block.columns):
        table.add_column(column, justify="right" if index in NUMERIC else "left", overflow="fold")
    for row in block.rows:
        table.add_row(*(Text(escape.plain(cell)) for cell in row))
    return table


def _plain(content: Page) -> str:
    from rich.console import Console as NewConsole

    stream = io.StringIO()
    _print_page(content, NewConsole(file=stream, width=_WIDTH, color_system=None, highlight=False))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _markdown(content: Page) -> str:
    safe = escape.markdown
    lines = [f"# {safe(content.title)}", ""]
    lines += [f"> **{safe(banner)}**\n" for banner in content.banners]
    for block in content.blocks:
        lines += [f"## {safe(block.title)}", ""]
        lines += [f"> **{safe(banner)}**\n" for banner in block.banners]
        lines += [_tabulated(block, safe, "pipe"), ""]
        lines += [f"- {safe(line)}" for line in block.lines] + [""]
    lines += [f"- {safe(line)}" for line in content.lines]
    return "\n".join(lines).rstrip() + "\n"


def _latex(content: Page) -> str:
    safe = escape.latex
    lines = [rf"\section*{{{safe(content.title)}}}"]
    lines += [rf"\textbf{{{safe(banner)}}}\par" for banner in content.banners]
    for block in content.blocks:
        lines += [rf"\subsection*{{{safe(block.title)}}}"]
        lines += [rf"\noindent\textbf{{{safe(banner)}}}\par" for banner in block.banners]
        lines += [_tabulated(block, safe, "latex_raw"), r"\par\smallskip"]
        lines += [rf"\noindent {safe(line)}\par" for line in block.lines]
    lines += [rf"\noindent {safe(line)}\par" for line in content.lines]
    return "\n".join(lines) + "\n"


def _html(content: Page) -> str:
    safe = escape.html
    lines = [f"<h3>{safe(content.title)}</h3>"]
    lines += [f"<p><strong>{safe(banner)}</strong></p>" for banner in content.banners]
    for block in content.blocks:
        lines += [f"<h4>{safe(block.title)}</h4>"]
        lines += [f"<p><strong>{safe(banner)}</strong></p>" for banner in block.banners]
        lines += [_tabulated(block, safe, "unsafehtml")]
        lines += [f"<p>{'<br>'.join(safe(line) for line in block.lines)}</p>"]
    lines += [f"<p>{safe(line)}</p>" for line in content.lines]
    return "\n".join(lines) + "\n"


def _tabulated(block: Block, safe: escape.Escape, format: str) -> str:
    from tabulate import tabulate

    return tabulate(
        [[_indented(cell, safe, format) for cell in row] for row in block.rows],
        headers=[safe(column) for column in block.columns],
        tablefmt=format,
        colalign=["right" if index in NUMERIC else "left" for index in range(len(block.columns))],
        disable_numparse=True,
    )


def _indented(cell: str, safe: escape.Escape, format: str) -> str:
    """Leading spaces put a metric under what it is part of; each format has its own hard space."""
    hard = {"latex_raw": r"\quad ", "pipe": "&nbsp;&nbsp;", "unsafehtml": "&nbsp;&nbsp;"}[format]
    depth = (len(cell) - len(cell.lstrip(" "))) // len(INDENT)
    return hard * depth + safe(cell.strip())


def _csv(runs: Sequence[Results]) -> str:
    import csv

    rows = [row for results in runs for row in results.rows()]
    stream = io.StringIO()
    if rows:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: escape.csv_cell(v) if isinstance(v, str) else v for k, v in row.items()})
    return stream.getvalue()


def _json(runs: Sequence[Results]) -> str:
    import msgspec

    results = runs[0] if len(runs) == 1 else list(runs)
    return escape.json_text(msgspec.json.format(msgspec.json.encode(results), indent=2).decode()) + "\n"


_RENDERERS = {
    "table": _plain,
    "md": _markdown,
    "latex": _latex,
    "html": _html,
}
