"""A leaderboard from a folder of runs and submissions to a folder of pages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from eval_anything.board import data, pages
from eval_anything.board.check import doubtful, refuse_damaged
from eval_anything.board.definition import Column, Definition, of_runs
from eval_anything.board.entry import Entry, read_entries
from eval_anything.board.pages import Board, LeftOut
from eval_anything.board.published import installed, tables
from eval_anything.board.rows import Row, histories, latest, rows
from eval_anything.board.sheets import sheets
from eval_anything.errors import UsageError
from eval_anything.report.folder import write_folder
from eval_anything.report.frame import Link, Site
from eval_anything.report.strings import slugs
from eval_anything.reported import Reported

MARK = ".eval-anything-leaderboard"
_LINKED = 8
"""Tasks that the head of each page links; with more there, the first page's table alone leads to them."""


def build(runs: Path, out: Path, definition: Definition | None = None) -> Board:
    """Write the leaderboard of the runs and submissions in the folder `runs` to the folder `out`.

    Without a definition, every task and group that was run has its column. Raises UsageError where `out` is
    something else or where nothing can be shown, DataError naming a damaged file, StorageError where nothing
    can be written.
    """
    entries = read_entries(runs)
    for entry in entries:
        refuse_damaged(entry)
    definition = definition or of_runs([entry.scores for entry in entries])
    every = installed()
    board = _board(entries, runs, definition, every)
    write_folder(out, MARK, "leaderboard", lambda folder: _fill(folder, board, every))
    return board


def _board(entries: Sequence[Entry], runs: Path, definition: Definition, every: Sequence[Reported]) -> Board:
    left_out = [
        LeftOut(str(entry.path.relative_to(runs)), entry.name, tuple(lines))
        for entry in entries
        if entry.scores.results.complete and (lines := doubtful(entry, definition.limits))
    ]
    if len(left_out) == len(entries):
        raise UsageError(
            "\n  ".join(["nothing to show:", *(f"{o.file}: {o.reasons[0]}" for o in left_out[:8])])
        )
    refused = {one.file for one in left_out}
    kept = rows([entry for entry in entries if str(entry.path.relative_to(runs)) not in refused])
    found = tuple(sheets(latest(kept), definition))
    series = histories(kept)
    models = [line.row.name for sheet in found for line in sheet.lines]
    tasks = list(
        dict.fromkeys(task.name for sheet in found for line in sheet.lines for task in line.row.results)
    )
    return Board(
        definition=definition,
        sheets=found,
        reported=tuple(tables(every, definition.columns)),
        series=series,
        left_out=tuple(left_out),
        models={name: f"models/{short}.html" for name, short in slugs(models).items()},
        tasks={name: f"tasks/{short}.html" for name, short in slugs(tasks).items()},
        runs={name: f"series/{short}.html" for name, short in slugs(list(series)).items()},
    )


def _fill(out: Path, board: Board, every: Sequence[Reported]) -> None:
    links = [Link("Leaderboard", "index.html")]
    links += [Link(name, page) for name, page in list(board.tasks.items())[:_LINKED]]
    site = Site(out, tuple(links), "Made by eval-anything. Nothing is loaded from elsewhere.")
    _assets(site)
    title = board.definition.title
    site.write("index.html", title, pages.index(board), ["assets/board.js"])
    data.write(out / "index.json", data.index(board))
    for sheet in board.sheets:
        for line in sheet.lines:
            page = board.models[line.row.name]
            site.write(page, line.row.name, pages.model_page(line, sheet, board, Path(page).stem))
            data.write((out / page).with_suffix(".json"), data.model(line, sheet, board))
    for name, page in board.tasks.items():
        found = tables(every, _metrics(name, board))
        site.write(page, name, pages.task_page(name, board, found, Path(page).stem))
        data.write((out / page).with_suffix(".json"), data.task(name, board, found))
    for name, page in board.runs.items():
        held: Sequence[Row] = board.series[name]
        site.write(page, name, pages.series_page(name, held, board, Path(page).stem))
        data.write((out / page).with_suffix(".json"), data.series(name, held, board.definition))


def _metrics(task: str, board: Board) -> list[Column]:
    results = [
        r for sheet in board.sheets for line in sheet.lines if (r := line.row.result(task)) is not None
    ]
    names = dict.fromkeys(metric.name for result in results for metric in result.metrics)
    return [Column(title=name, task=task, metric=name) for name in names]


def _assets(site: Site) -> None:
    """The report's style sheet with this one's own after it, and the scripts of both."""
    site.copy_assets(("style.css", "page.js"))
    own = files("eval_anything.board").joinpath("assets")
    with (site.out / "assets" / "style.css").open("ab") as sheet:
        sheet.write(own.joinpath("board.css").read_bytes())
    (site.out / "assets" / "board.js").write_bytes(own.joinpath("board.js").read_bytes())
