"""`manifest.json` of a whole LLF run: what was asked, and what became of each stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError, RunConflict, StorageError
from eval_anything.stores.secrets import Blanks
from eval_anything_train.checkpoint import write_file
from eval_anything_train.llf.settings import STAGES

FILE = "manifest.json"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A finished stage. It is not done again, and what failed in it is not asked again: later stages stand on
    what it gave."""

    finished: str
    """ISO 8601, UTC."""
    counts: dict[str, int]
    """What became of its records: "prompts", "ok", "truncated", ..."""
    facts: dict[str, Any] = {}
    """What else is to be known: models, win rate, the trained checkpoint."""


class LLFManifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    method: str = "llf"
    command: tuple[str, ...]
    settings: dict[str, Any]
    """Those of the newest session; what decides a stage is in the manifest of its own folder."""
    templates: dict[str, str]
    """sha256 of each prompt."""
    code: dict[str, Any] | None
    versions: dict[str, str]
    started: str
    resumed: tuple[str, ...] = ()
    stages: dict[str, Done] = {}


@dataclasses.dataclass(frozen=True)
class LLFOutcome:
    """What a session of LLF came to."""

    folder: Path
    """The trained checkpoint; before there is one, the run's directory."""
    manifest: LLFManifest

    @property
    def text(self) -> str:
        """A line for each finished stage, and what can be done next."""
        done = self.manifest.stages
        lines = [f"{name + ':':10}{told(done[name])}" for name in (*STAGES, "dpo", "ppo") if name in done]
        if self.folder.name == "final":
            lines += [
                f"trained model: {self.folder}",
                f"to score it:   eval-anything run --model hf/{self.folder} --tasks amu",
            ]
        return "\n".join(lines)


def told(done: Done) -> str:
    """A finished stage in words."""
    counts = ", ".join(f"{count} {name}" for name, count in done.counts.items())
    facts = ", ".join(f"{name} {_short(value)}" for name, value in done.facts.items())
    return "; ".join(filter(None, (counts, facts)))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def read_llf(folder: Path) -> LLFManifest | None:
    """None where there is none. Raises RunConflict where `folder` holds something else."""
    path = folder / FILE
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunConflict(f"{folder} exists and is no run of llf: choose another --out")
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=LLFManifest)
    except OSError as fault:
        raise DataError(f"{path}: {fault.strerror}") from None
    except msgspec.MsgspecError:
        found = None
    if found is None or found.method != "llf":
        raise RunConflict(f"{folder} holds no run of llf: choose another --out")
    return found


def write_llf(folder: Path, manifest: LLFManifest, secrets: Sequence[str]) -> None:
    """Atomic; `secrets` are blanked out. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StorageError(f"{folder}: cannot be written: {fault.strerror}") from fault
    text = Blanks(secrets)(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    write_file(folder / FILE, text + b"\n")


def with_stage(manifest: LLFManifest, name: str, done: Done) -> LLFManifest:
    """`manifest`, and that stage `name` is finished."""
    return msgspec.structs.replace(manifest, stages={**manifest.stages, name: done})
