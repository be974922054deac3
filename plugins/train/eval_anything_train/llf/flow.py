"""The stages of LLF one after another: each is resumed where it stopped, and none is done twice."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import msgspec

from eval_anything.errors import UsageError
from eval_anything.run.directory import versions
from eval_anything_train.llf.manifest import (
    Done,
    LLFManifest,
    LLFOutcome,
    read_llf,
    told,
    with_stage,
    write_llf,
)
from eval_anything_train.llf.settings import STAGES, LLFSettings, Stage
from eval_anything_train.llf.stages import Job, compare, critique, feedback, pair, refine, respond, train
from eval_anything_train.llf.templates import NAMES
from eval_anything_train.manifest import LIBRARIES, code_version, now

Work = Callable[[Job, bool], tuple[Any, Done]]
_WORK: Mapping[Stage, Work] = {
    "feedback": feedback,
    "respond": respond,
    "critique": critique,
    "refine": refine,
    "compare": compare,
    "pairs": pair,
    "train": train,
}


def llf(settings: LLFSettings, stream: TextIO | None = sys.stderr) -> LLFOutcome:
    """Do those of `settings.stages` that are not done in `settings.out`, in their order.

    `stream`: where progress is shown; None: nowhere. What can be known before anything is asked is checked
    before. Raises UsageError where a stage stands on one that is not finished, RunConflict where one was done
    with other settings or on something else, and what the stages raise; the same call goes on then.
    """
    return Flow(settings, stream).go()


class Flow:
    """One session."""

    def __init__(self, settings: LLFSettings, stream: TextIO | None) -> None:
        self.main = os.environ.get("RANK", "0") == "0"
        self.several = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self.stream = stream if self.main else None
        old = read_llf(Path(settings.out)) if self.main else None
        self.job = Job(settings, self.stream, self._need)
        wait = self.job.trainings.wait_for_others if self.several else lambda: None
        if self.main:
            self.manifest = self._planned(old)
            self._write()
        wait()
        if not self.main:
            found = read_llf(self.job.out)
            assert found is not None
            self.manifest = found
        self._results: dict[Stage, Any] = {}
        """What the stages gave, as far as this session has looked at it."""

    def go(self) -> LLFOutcome:
        for note in self.job.notes:
            self._say(f"note: {note}")
        for stage in STAGES:
            if stage in self.job.settings.stages and self.job.has(stage):
                self._do(stage)
        final = self.job.out / self.job.trainings.last / "final"
        return LLFOutcome(final if final.is_dir() else self.job.out, self.manifest)

    def _name(self, stage: Stage) -> str:
        """Under which a finished stage is written down: there may be one training after another."""
        return self.job.trainings.last if stage == "train" else stage

    def _do(self, stage: Stage) -> None:
        if self._name(stage) in self.manifest.stages:
            self._need(stage)
            self._say(f"stage {stage}: finished before")
            return
        if self.several and stage not in ("feedback", "train"):
            raise UsageError(
                f"stage {stage} is for one process: run it without a launcher, and with one --stages feedback"
                " and --stages train"
            )
        self._say(f"stage {stage}")
        self._results[stage], done = _WORK[stage](self.job, True)
        free_memory()
        self.manifest = with_stage(self.manifest, self._name(stage), done)
        self._write()
        self._say(f"stage {stage}: {told(done)}")

    def _need(self, stage: Stage) -> Any:
        """What a finished stage gave. It is checked once in a session that it was done as it would be now."""
        if self._name(stage) not in self.manifest.stages:
            raise UsageError(f"stage {stage} is not finished in {self.job.out}: add it to --stages")
        if stage not in self._results:
            self._results[stage], _ = _WORK[stage](self.job, False)
        return self._results[stage]

    def _planned(self, old: LLFManifest | None) -> LLFManifest:
        settings, again = self.job.settings, now()
        return LLFManifest(
            command=tuple(sys.argv),
            settings=msgspec.to_builtins(settings),
            templates={name: self.job.templates.digest(name) for name in NAMES},
            code=code_version(),
            versions=versions(LIBRARIES),
            started=again if old is None else old.started,
            resumed=() if old is None else (*old.resumed, again),
            stages={} if old is None else old.stages,
        )

    def _write(self) -> None:
        if self.main:
            write_llf(self.job.out, self.manifest, self.job.secrets)

    def _say(self, line: str) -> None:
        if self.stream is not None:
            print(line, file=self.stream, flush=True)


def free_memory() -> None:
    """Give back what a stage held: its model, of which there may be room for one."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
