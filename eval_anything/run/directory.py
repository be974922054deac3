"""A run's directory: new, resumed, or refused."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import RunConflict, StorageError
from eval_anything.run.assembly import Parts
from eval_anything.run.config import RunConfig
from eval_anything.run.fingerprint import identity
from eval_anything.stores.identity import differences, fingerprint
from eval_anything.stores.journal import Journal
from eval_anything.stores.manifest import Billed, Manifest, TaskPlan, read_manifest, write_manifest

_LIBRARIES = (
    *("eval-anything", "aiohttp", "av", "numpy", "pillow", "soundfile", "torch", "transformers"),
    *("accelerate", "diffusers", "google-genai", "lm-eval", "open-clip-torch", "vllm"),
)


def planned(parts: Parts) -> Manifest:
    """What this run will do, for its manifest."""
    config = parts.config
    return Manifest(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        model=config.model,
        tasks=tuple(_task_plan(parts, index) for index in range(len(parts.tasks))),
        config=shown_config(config),
        versions=versions(),
        seed=config.seed or 0,
        groups=parts.groups,
        notes=parts.notes,
        billing=tuple(
            Billed(
                purpose=purpose,
                model=endpoint.label,
                price=endpoint.price,
                local=endpoint.account is None,
            )
            for purpose, endpoints in parts.by_purpose.items()
            for endpoint in endpoints
        ),
    )


def shown_config(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain values."""
    values: dict[str, Any] = msgspec.to_builtins(config)
    return values


def prepare(parts: Parts, manifest: Manifest) -> tuple[Path, bool]:
    """Make or resume the run's directory and write the manifest into it; also says whether it is new.

    Raises RunConflict, showing the differences, where the directory holds another run or no run at all,
    or where another process is at work in it.
    """
    folder = Path(parts.config.out) if parts.config.out else _new_folder(parts.config)
    path = folder / "manifest.json"
    is_new = not path.exists()
    if not is_new:
        manifest = resumed(folder, read_manifest(path), manifest)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunConflict(f"{folder} exists and is not a run: choose another --out")
    try:
        (folder / "media").mkdir(parents=True, exist_ok=True)
        with Journal(folder / "journal.jsonl"):  # refused while another process works by this manifest
            write_manifest(path, manifest, secrets(parts))
    except OSError as fault:
        raise StorageError(f"{folder}: cannot be written: {fault.strerror}") from fault
    return folder, is_new


def secrets(parts: Parts) -> tuple[str, ...]:
    """Whatever must never be written: the keys of every endpoint."""
    return tuple(secret for endpoint in parts.endpoints for secret in endpoint.model.secrets())


def _task_plan(parts: Parts, index: int) -> TaskPlan:
    item, config = parts.tasks[index], parts.config
    found = identity(parts, item)
    size = item.dataset.size if config.limit is None else min(config.limit, item.dataset.size)
    return TaskPlan(
        name=item.task.name,
        version=item.task.version,
        fingerprint=fingerprint(found),
        profile=getattr(item.task.options, "profile", ""),
        data=item.dataset.kind,
        revision=item.dataset.revision,
        planned=size * config.repeats,
        aggregation=item.task.aggregation(),
        judge="" if item.judge is None else item.judge.label,
        protocol_judge=item.is_protocol_judge,
        missing=config.missing,
        notes=(*item.dataset.notes, *parts.model.model.notes()),
        identity=found,
    )


def resumed(folder: Path, old: Manifest, new: Manifest) -> Manifest:
    """The manifest to go on with; a larger --limit or --repeats extends a run, all else must be the same.

    Raises RunConflict, showing the differences.
    """
    before = {plan.name: plan for plan in old.tasks}
    after = {plan.name: plan for plan in new.tasks}
    lines = differences({n: p.identity for n, p in before.items()}, {n: p.identity for n, p in after.items()})
    repeats, now = old.config.get("repeats", 1), new.config.get("repeats", 1)
    if now < repeats:
        lines.append(f"repeats: {repeats} -> {now}")
    for name in before.keys() & after.keys():
        # Of samples and repeats each: more of one would hide fewer of the other in their product.
        samples, left = before[name].planned // repeats, after[name].planned // now
        if left < samples:
            lines.append(f"{name}.limit: {samples} samples -> {left}")
    if lines:
        shown = "".join(f"\n  {line}" for line in lines[:8])
        more = f"\n  and {len(lines) - 8} more" if len(lines) > 8 else ""
        raise RunConflict(f"{folder} holds a run of another configuration:{shown}{more}")
    return msgspec.structs.replace(new, created=old.created)


def _new_folder(config: RunConfig) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    model, tasks = _plain(config.model.split("/")[-1]), _plain("+".join(config.tasks))
    name = f"{stamp}-{model[:40]}-{tasks[:40]}"
    folder, number = Path("runs") / name, 2
    while folder.exists():
        folder, number = Path("runs") / f"{name}-{number}", number + 1
    return folder


def _plain(text: str) -> str:
    """`text` as a part of a file name."""
    return "".join(c if c.isalnum() or c in "-_.+" else "-" for c in text)


def versions(libraries: Sequence[str] = _LIBRARIES) -> dict[str, str]:
    """Of Python, the platform and those of `libraries` that are installed."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
