"""A report as a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval_anything.errors import UsageError
from eval_anything.report.figures import TaskOfRun
from eval_anything.report.folder import write_folder
from eval_anything.report.frame import Link, Site
from eval_anything.report.pages import Run, overview, samples_page, task_page
from eval_anything.report.samples import Source, write_samples
from eval_anything.report.strings import slugs
from eval_anything.results.results import JOURNAL, MANIFEST, build
from eval_anything.results.scan import Scan, scan
from eval_anything.stores.manifest import read_manifest

MARK = ".eval-anything-report"
_ASSETS = ("style.css", "page.js", "samples.js")


def build_report(folders: Sequence[Path], out: Path) -> Path:
    """Write the report of one or several runs to the folder `out`; returns its first page.

    A report that is there already is replaced. Raises UsageError where `out` is anything else, or a run is
    named twice, DataError for damaged runs, StorageError where it cannot be written.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a run is named twice")
    return write_folder(out, MARK, "report", lambda staging: _fill(staging, folders)) / "index.html"


def _fill(out: Path, folders: Sequence[Path]) -> None:
    scans = [scan(folder / JOURNAL, read_manifest(folder / MANIFEST).tasks) for folder in folders]
    results = [build(folder, found) for folder, found in zip(folders, scans, strict=True)]
    names = _names(folders, [r.model for r in results])
    runs = [Run(name, found) for name, found in zip(names, results, strict=True)]
    tasks = list(dict.fromkeys(task.name for run in runs for task in run.results.tasks))
    short = slugs(tasks)
    pages = {task: f"tasks/{short[task]}.html" for task in tasks}
    links = (Link("Overview", "index.html"), *(Link(task, page) for task, page in pages.items()))
    site = Site(out, links, "Made by eval-anything. Nothing is loaded from elsewhere.")
    site.copy_assets(_ASSETS)
    site.write("index.html", "Results", overview(runs, pages))
    for task in tasks:
        _task(site, task, short[task], runs, list(zip(folders, scans, strict=True)))


def _task(site: Site, task: str, short: str, runs: list[Run], found: list[tuple[Path, Scan]]) -> None:
    sources = [
        Source(folder, scanned.tasks[task], number)
        for number, (folder, scanned) in enumerate(found)
        if task in scanned.tasks
    ]
    count = write_samples(site.out, short, sources, len(runs))
    samples = f"samples/{short}.html"
    held = [
        TaskOfRun(runs[s.number].name, t, s)
        for s in sources
        for t in runs[s.number].results.tasks
        if t.name == task
    ]
    site.write(f"tasks/{short}.html", task, task_page(task, runs, held, samples, count))
    scripts = ("assets/samples.js", f"data/{short}/index.js")
    site.write(samples, f"{task}: samples", samples_page(task, runs, short), scripts)


def _names(folders: Sequence[Path], models: Sequence[str]) -> list[str]:
    """The models' names where they are different, else the folders', else their paths."""
    paths = [str(folder) for folder in folders]
    for names in (list(models), [folder.resolve().name for folder in folders], paths):
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({number})" for number, path in enumerate(paths, 1)]
