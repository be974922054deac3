"""Repeating an earlier run: its options from its manifest, and what is not the same any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError, UnknownName
from eval_anything.options import option_names
from eval_anything.results.costs import consumed
from eval_anything.results.results import JOURNAL, MANIFEST, load
from eval_anything.run.config import RunConfig
from eval_anything.stores.identity import differences
from eval_anything.stores.manifest import Manifest, Repeated, read_manifest
from eval_anything.suggest import unknown
from eval_anything.values import Purpose

_OF_THE_RUN_ALONE = ("out", "repeats_run")
_BLANKED = "***"


def options_of(path: Path) -> dict[str, Any]:
    """The options of the run whose manifest (or directory) `path` is, as a config file would give them.

    Raises DataError where they cannot be had from it (no run, samples that came from a program), UnknownName
    for an option of another version. `check_secrets` comes after what is given besides.
    """
    path = path / MANIFEST if path.is_dir() else path
    manifest = read_manifest(path)
    options = {k: v for k, v in manifest.config.items() if k not in _OF_THE_RUN_ALONE}
    if not options:
        raise DataError(f"--from {path}: it does not hold the options of its run")
    if options.get("tasks") == ["respond"]:
        raise DataError(
            f"--from {path}: its samples were given to eval_anything.respond by a program, and are not in it"
        )
    for name in options:
        if name not in option_names(RunConfig):
            raise UnknownName(f"--from {path}: {unknown('option', name, option_names(RunConfig))}")
    return {**options, "repeats_run": str(path)}


def check_secrets(options: dict[str, Any], path: Path) -> None:
    """Raises DataError where a secret that the manifest at `path` does not hold was not given again."""
    for name in _blanked(options, ""):
        raise DataError(f"--from {path}: {name} held a secret, which was not written: give it again")


def _blanked(value: Any, name: str) -> Iterator[str]:
    """Names of the options in which a secret was blanked out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _blanked(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _blanked(inner, name)
    elif isinstance(value, str) and _BLANKED in value:
        yield name


def with_differences(manifest: Manifest, config: RunConfig) -> Manifest:
    """`manifest` with what differs from the run that it repeats, if it repeats one."""
    if config.repeats_run is None:
        return manifest
    path = Path(config.repeats_run)
    earlier = read_manifest(path)
    differs = differences(_comparable(earlier), _comparable(manifest))
    if config.seed is None:
        differs.append("seed: none was given, so what is drawn at random is drawn anew")
    served: dict[Purpose, dict[str, tuple[str, ...]]] = {}
    if (path.parent / JOURNAL).exists():
        for purpose, usage in consumed(load(path.parent).tasks).items():
            served[purpose] = {spec: tuple(sorted(names)) for spec, names in usage.served.items()}
    else:
        differs.append("names of served models: not known, as its journal is not beside the manifest")
    repeats = Repeated(
        folder=str(path.parent), created=earlier.created, differs=tuple(differs), served=served
    )
    return msgspec.structs.replace(manifest, repeats=repeats)


def _comparable(manifest: Manifest) -> dict[str, Any]:
    """What decides a run's numbers, with the versions that can move them."""
    tasks = {plan.name: {**plan.identity, "planned": plan.planned} for plan in manifest.tasks}
    return {"versions": manifest.versions, **tasks}
