"""Commands that stand on one another, two at a time; what is done is not done again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

CONFIG = "experiment.json"


class ExperimentError(Exception):
    """What went wrong, for the one who runs the experiment."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One command of `eval-anything`."""

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    """Jobs that must be done before."""


def claim(out: Path, configuration: dict[str, object]) -> None:
    """Raises ExperimentError where `out` holds results of another configuration, or something else."""
    path = out / CONFIG
    plain = json.loads(json.dumps(configuration))
    if path.is_file():
        held = json.loads(path.read_text())
        if held != plain:
            names = sorted(k for k in {*held, *plain} if held.get(k) != plain.get(k))
            told = "; ".join(f"{k}: {held.get(k)!r} there, {plain.get(k)!r} asked for" for k in names)
            raise ExperimentError(
                f"{out} holds results of another configuration ({told}): choose another --out"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise ExperimentError(f"{out} exists and holds no experiment: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(plain, indent=1))
    partial.rename(path)


def run(jobs: Sequence[Job], out: Path, places: int) -> None:
    """Do what is not done. Each job's output goes to `logs/NAME.log`; a job that was killed goes on where it
    stopped, as `eval-anything` does. Raises ExperimentError where one fails; those beside it are finished."""
    (out / "logs").mkdir(exist_ok=True)
    (out / "done").mkdir(exist_ok=True)
    done = {job.name for job in jobs if _mark(out, job).is_file()}
    waiting = [job for job in jobs if job.name not in done]
    threads = max(1, (os.cpu_count() or 1) // places)
    failed: list[str] = []
    with ThreadPoolExecutor(places) as pool:
        running: dict[Future[int], Job] = {}
        while waiting or running:
            ready = [job for job in waiting if set(job.after) <= done] if not failed else []
            for job in ready[: places - len(running)]:
                waiting.remove(job)
                running[pool.submit(_do, job, out, threads)] = job
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                if future.result() == 0:
                    done.add(job.name)
                    _say(f"{len(done)}/{len(jobs)} {job.name}")
                else:
                    failed.append(job.name)
    if failed:
        raise ExperimentError(f"failed: {', '.join(failed)}; see {out / 'logs'}; the same command goes on")


def _do(job: Job, out: Path, threads: int) -> int:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "eval_anything", *job.command]
    with (out / "logs" / f"{job.name}.log").open("ab") as log:
        code = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False).returncode
    if code == 0:
        _mark(out, job).touch()
    return code


def _mark(out: Path, job: Job) -> Path:
    """There when the job is done with just this command."""
    digest = hashlib.sha256("\0".join(job.command).encode()).hexdigest()[:12]
    return out / "done" / f"{job.name}-{digest}"


_lock = threading.Lock()


def _say(line: str) -> None:
    with _lock:
        print(line, file=sys.stderr, flush=True)
