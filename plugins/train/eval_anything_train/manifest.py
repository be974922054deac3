"""`manifest.json`: what a training run was asked, of which data and weights, and with which software."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError, RunConflict
from eval_anything.models.hf import checkpoint
from eval_anything.run.directory import versions
from eval_anything.stores.identity import differences
from eval_anything_train.checkpoint import write_file
from eval_anything_train.data.dataset import fingerprint
from eval_anything_train.methods.base import Training
from eval_anything_train.session import Session
from eval_anything_train.settings import FREE, Settings
from eval_anything_train.values import Record

FILE = "manifest.json"
LIBRARIES = (
    *("eval-anything", "eval-anything-train", "accelerate", "deepspeed", "numpy", "peft"),
    *("safetensors", "tokenizers", "torch", "transformers"),
)
_NAMED_BY_CONTENT = frozenset({"model", "data", "limit", "reward", "critic", "ptx_data"})
"""Settings that stand for what the fingerprints tell better: a folder may be moved."""

_AT_START = ("checkpoints", "metrics.jsonl", ".partial-manifest.json")
"""What there may be of a run before its manifest."""


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint that training began with."""

    name: str
    """As asked for: a folder or a hub id."""
    folder: str
    digest: str
    """sha256 over configuration, processor and weights."""
    whole: bool = True
    """Whether all bytes of the weights are in it, or samples of very large files."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    method: str
    command: tuple[str, ...]
    settings: dict[str, Any]
    records: int
    steps: int
    """Optimiser steps of the whole run."""
    data: str
    """Fingerprint of the records and their media."""
    parent: Parent
    code: dict[str, Any] | None
    """Git commit of this code, and whether files differ from it; None for an installed package."""
    versions: dict[str, str]
    environment: dict[str, Any]
    """Processes, device, how weights are divided."""
    identity: dict[str, Any]
    """All that must be the same for a run to be resumed."""
    started: str
    """ISO 8601, UTC."""
    resumed: tuple[str, ...] = ()
    """When it was gone on with."""
    finished: str | None = None
    skipped: int = 0
    """Records left out because they are too long, over all epochs."""
    metrics: dict[str, Any] = {}
    """Those of the last step."""


def planned(
    method: Training[Any, Any], records: Sequence[Record], settings: Settings, session: Session, steps: int
) -> Manifest:
    """What a run is about to do. Fingerprints are made by the main process alone, which compares them.

    Raises DataError where a record's medium is missing.
    """
    folder = method.policy.folder
    digest, whole = checkpoint.digest(folder) if session.main else ("", True)
    parent = Parent(name=settings.model, folder=str(folder), digest=digest, whole=whole)
    data = fingerprint(records) if session.main else ""
    return Manifest(
        method=method.name,
        command=tuple(sys.argv),
        settings=_plain(settings),
        records=len(records),
        steps=steps,
        data=data,
        parent=parent,
        code=code_version(),
        versions=versions(LIBRARIES),
        environment=session.environment(),
        identity=_plain(
            {
                **identity(method.name, settings, data, parent, session.processes),
                **(method.identity() if session.main else {}),
            }
        ),
        started=now(),
    )


def identity(method: str, settings: Settings, data: str, parent: Parent, processes: int) -> dict[str, Any]:
    """What decides the result, as plain values."""
    left = {name: v for name, v in _plain(settings).items() if name not in FREE | _NAMED_BY_CONTENT}
    return {
        "method": method,
        "settings": left,
        "data": data,
        "parent": parent.digest,
        "processes": processes,
    }


def _plain(value: Any) -> dict[str, Any]:
    """`value` as it will be read back from JSON."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found


def check_same(folder: Path, old: Manifest, new: Manifest) -> None:
    """Raises RunConflict, showing the differences, unless `new` can go on with `old`."""
    lines = differences(old.identity, new.identity)
    if lines:
        shown = "".join(f"\n  {line}" for line in lines[:8])
        more = f"\n  and {len(lines) - 8} more" if len(lines) > 8 else ""
        raise RunConflict(f"{folder} holds a run of another configuration:{shown}{more}")


def check_out(folder: Path) -> None:
    """Raises RunConflict unless `folder` is new, empty, or a training run's, killed at its start perhaps."""
    if not folder.exists() or read_manifest(folder) is not None:
        return
    if not folder.is_dir() or any(path.name not in _AT_START for path in folder.iterdir()):
        raise RunConflict(f"{folder} exists and is no training run: choose another --out")


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none. Raises DataError where it is not one."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except (OSError, msgspec.MsgspecError) as fault:
        raise DataError(f"{path}: not a manifest of a training run: {fault}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Atomic. Raises StorageError."""
    write_file(folder / FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def code_version() -> dict[str, Any] | None:
    """Commit and state of the git checkout that this code runs from; None outside of one."""
    source = Path(__file__).resolve()
    if _git(source.parent, "ls-files", "--error-unmatch", source.name) is None:
        return None
    commit = _git(source.parent, "rev-parse", "HEAD")
    changes = _git(source.parent, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:  # no git here
        return None
    return done.stdout.strip() if done.returncode == 0 else None
