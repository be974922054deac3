"""A run's manifest: what was asked, of whom, with which versions. Never a secret."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError
from eval_anything.stats.aggregate import Means, MissingPolicy, Tree
from eval_anything.stores.secrets import Blanks
from eval_anything.values import Price, Purpose


class TaskPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One task of a run, with all that its results need, so that they can be rebuilt without the data."""

    name: str
    version: str
    fingerprint: str
    profile: str = ""
    """The protocol's profile, where the task has several: "corrected"."""
    data: str
    """"hub", "path" or "synthetic"."""
    revision: str
    planned: int
    """Responses to be scored: samples times repeats."""
    aggregation: Means | Tree
    judge: str
    """Label of the judge: "reference", "rubric:openai/gpt-4o"."""
    protocol_judge: bool
    """Whether it is the judge that the published protocol prescribes."""
    missing: MissingPolicy = "exclude"
    notes: tuple[str, ...] = ()
    identity: dict[str, Any] = {}
    """What the fingerprint was made of, for showing differences."""


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is asked, and by what price its answers are counted."""

    purpose: Purpose
    model: str
    """Its spec."""
    price: Price | None = None
    """None: not known; or, of a local model, none that anybody bills."""
    local: bool = False


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier run that this one repeats."""

    folder: str
    created: str
    differs: tuple[str, ...]
    """What is not the same: one line for each package, checkpoint, data revision, option."""
    served: dict[Purpose, dict[str, tuple[str, ...]]] = {}
    """By purpose and model spec: the names under which servers answered then."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    created: str
    """ISO 8601, UTC."""
    model: str
    """The model spec as asked for: "openai/gpt-4o"."""
    tasks: tuple[TaskPlan, ...]
    config: dict[str, Any]
    """The run's configuration as given."""
    versions: dict[str, str]
    """Of eval-anything, Python and the libraries that can move a number."""
    seed: int = 0
    notes: tuple[str, ...] = ()
    """Shown with the results."""
    groups: tuple[str, ...] = ()
    """Groups whose combined numbers are shown: "amg"."""
    billing: tuple[Billed, ...] = ()
    """All models that are asked; empty in manifests from before there were prices."""
    repeats: Repeated | None = None


def read_manifest(path: Path) -> Manifest:
    """Raises DataError where the file is not a manifest."""
    try:
        return msgspec.convert(_with_kinds(msgspec.json.decode(path.read_bytes())), Manifest)
    except OSError as fault:
        raise DataError(f"{path}: no run here ({fault.strerror})") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{path}: not a manifest of this version: {fault}") from None


def _with_kinds(manifest: Any) -> Any:
    """Manifests from before there were trees do not say that their aggregation is `Means`."""
    plans = manifest.get("tasks") if isinstance(manifest, dict) else None
    for plan in plans if isinstance(plans, list) else ():
        aggregation = plan.get("aggregation") if isinstance(plan, dict) else None
        if isinstance(aggregation, dict):
            aggregation.setdefault("kind", "means")
    return manifest


def write_manifest(path: Path, manifest: Manifest, secrets: Sequence[str] = ()) -> None:
    """Atomic: a reader sees the old file or the new one. `secrets` are blanked out."""
    text = Blanks(secrets)(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    partial = path.with_suffix(".partial")
    partial.write_bytes(text + b"\n")
    partial.replace(path)
