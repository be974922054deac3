"""A whole run: assemble, make or resume its directory, work, derive the results."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import msgspec

from eval_anything.errors import (
    BudgetExceeded,
    Forbidden,
    LimitReached,
    RunConflict,
    StorageError,
    UsageError,
)
from eval_anything.media.store import ArtifactStore
from eval_anything.run.assembly import Parts, assemble
from eval_anything.run.budget import ErrorBudget
from eval_anything.run.config import RunConfig
from eval_anything.run.descriptors import allow_sockets
from eval_anything.run.directory import planned, prepare, secrets
from eval_anything.run.pipeline import Pipeline
from eval_anything.run.progress import Progress, Starting
from eval_anything.stores.cache import ResponseCache
from eval_anything.stores.journal import Finished, Journal
from eval_anything.stores.manifest import Manifest

if TYPE_CHECKING:
    from eval_anything.results.values import Results

R = TypeVar("R")
DONE, NOT_DONE = 0, 3
_LOAD_AFTER_S = 0.2
"""When the first requests are out and their answers are waited for."""


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to."""

    folder: Path
    results: "Results"
    stopped: str = ""
    """Why it ended early; empty when it did not."""

    @property
    def exit_code(self) -> int:
        """0 done; 3 stopped by errors, or nothing could be scored."""
        scored = any(task.counts.scored for task in self.results.tasks)
        return NOT_DONE if self.stopped or not scored else DONE


def run(config: RunConfig, progress: TextIO | None = sys.stderr) -> Outcome:
    """Do what `config` asks. Raises UsageError before anything expensive has started; a run that has to end
    early (error budget, limit on cost, expired key, full disk) keeps what is finished and says so."""
    parts = assemble(config)
    manifest = planned(parts)
    if config.repeats_run is not None:
        from eval_anything.run.repeat import with_differences  # reads results: not what every run waits for

        manifest = with_differences(manifest, config)
    folder, is_new = prepare(parts, manifest)
    if progress is not None:
        print(f"run directory: {folder}", file=progress, flush=True)
        if manifest.repeats is not None:
            for line in manifest.repeats.differs:
                print(f"differs from {manifest.repeats.folder}: {line}", file=progress, flush=True)
    stopped = work(parts, manifest, folder, is_new, progress)
    return _finish(folder, manifest, stopped)


def work(parts: Parts, manifest: Manifest, folder: Path, is_new: bool, progress: TextIO | None) -> str:
    """Do in the prepared directory `folder` what is not done; returns why that ended early, or nothing."""
    try:
        return asyncio.run(_work(parts, manifest, folder, progress))
    except RunConflict:
        raise  # another process is at work in the directory: it is not ours to clear away
    except UsageError:
        if is_new and not (folder / "journal.jsonl").stat().st_size:
            shutil.rmtree(folder)  # a server that is not there should not leave an empty run behind
        raise


def _finish(folder: Path, manifest: Manifest, stopped: str) -> Outcome:
    """Derive results and exports from the journal."""
    # Not imported before they are needed: the first request should not wait for them.
    from eval_anything.results.export import export_samples
    from eval_anything.results.results import build, write
    from eval_anything.results.scan import scan

    found = scan(folder / "journal.jsonl", manifest.tasks)
    results = build(folder, found)
    try:
        write(folder, results)
        export_samples(folder, found)
    except StorageError as fault:
        stopped = stopped or str(fault)
    return Outcome(folder, results, stopped)


async def _work(parts: Parts, manifest: Manifest, folder: Path, stream: TextIO | None) -> str:
    """Run the pipeline; returns why it ended early, or nothing."""
    allow_sockets(sum(endpoint.places for endpoint in parts.endpoints))
    store = ArtifactStore(folder / "media")
    folder_of_cache = parts.config.cache
    cache = ResponseCache(Path(folder_of_cache).expanduser(), secrets(parts)) if folder_of_cache else None
    fingerprints = {plan.name: plan.fingerprint for plan in manifest.tasks}
    total = sum(plan.planned for plan in manifest.tasks)
    journal_path = folder / "journal.jsonl"
    started = []
    with Journal(journal_path, secrets(parts)) as journal:
        finished = Finished(journal_path, fingerprints)
        try:
            with Starting(stream) as starting:
                for endpoint in parts.endpoints:
                    started.append(endpoint)
                    await endpoint.start(store, cache, starting.tell)
            loop = asyncio.get_running_loop()
            loop.call_later(_LOAD_AFTER_S, loop.run_in_executor, None, _load_for_later)
            with Progress(total, stream, finished.spent) as progress:
                budget = ErrorBudget(parts.config.error_budget, total)
                pipeline = Pipeline(parts, fingerprints, store, journal, finished, budget, progress)
                await pipeline.run()
        except (BudgetExceeded, Forbidden, LimitReached, StorageError) as fault:
            return str(fault)
        finally:
            for endpoint in started:
                await endpoint.stop()
            if cache is not None:
                cache.close()
    return ""


def apart(work: Callable[[], R]) -> R:
    """Call `work`, in a thread of its own where this one runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(work).result()


def _load_for_later() -> None:
    """Import what the results need while answers are waited for."""
    for module in ("numpy", "rich.table", "eval_anything.results.export", "eval_anything.results.table"):
        importlib.import_module(module)
