"""What is to be trained and how: settings from presets, a file and flags, checked and put together."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.suggest import unknown
from eval_anything_train.fields import Field, fields
from eval_anything_train.settings import Workplace

C = TypeVar("C", bound=Workplace)
_SETTINGS = {
    "sft": "settings:Settings",
    "feedback": "settings:Settings",
    "reward": "methods.settings:RewardSettings",
    "dpo": "methods.settings:DPOSettings",
    "ppo": "ppo.settings:PPOSettings",
    "llf": "llf.settings:LLFSettings",
    "kto": "methods.settings:KTOSettings",
    "simpo": "methods.settings:SimPOSettings",
    "orpo": "methods.settings:ORPOSettings",
    "scenes": "scenes.settings:ScenesSettings",
    "synergy": "synergy.settings:SynergySettings",
}
"""Where the settings of each method are; none of these modules imports torch."""
METHODS = tuple(_SETTINGS)


def settings_class(method: str) -> type[Workplace]:
    """The structure of its settings. Raises UnknownName. Imports no torch."""
    if method not in _SETTINGS:
        raise UnknownName(unknown("training method", method, METHODS))
    module, _, name = _SETTINGS[method].partition(":")
    found: type[Workplace] = getattr(importlib.import_module(f"eval_anything_train.{module}"), name)
    return found


@dataclasses.dataclass(frozen=True)
class Layer:
    """Some settings and where they come from."""

    values: Mapping[str, Any]
    where: str
    """Begins messages: "--config FILE"; "" for flags."""

    def name(self, path: str) -> str:
        """How a message names setting `path`: as it was written."""
        return f"{self.where}: {path}" if self.where else flag(path)


def flag(path: str) -> str:
    """The option for setting `path`: "lora.rank" is --lora.rank, "max_length" is --max-length."""
    return f"--{path.replace('_', '-')}"


def assemble(kind: type[C], layers: Sequence[Layer], where: str) -> C:
    """The settings of all `layers`, of which later ones win.

    Raises UnknownName for a key that there is not, with the nearest right one, and UsageError for values that
    do not fit and for what is missing; `where` begins that message.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        check(kind, layer)
        merged = _merged(merged, layer.values)
    missing = [name for name, one in fields(kind).items() if one.required and name not in merged]
    if missing:
        missing = [name if layers[-1].where else flag(name) for name in missing]
        raise UsageError(f"{where}: {', '.join(missing)} must be given")
    try:
        return msgspec.convert(merged, kind, strict=False)
    except msgspec.ValidationError as fault:  # a part without one of its own required fields
        raise UsageError(f"{where}: {fault}") from None


def check(kind: type[msgspec.Struct], layer: Layer, prefix: str = "") -> None:
    """Raises UnknownName or UsageError unless every value of `layer` fits its field of `kind`."""
    known = fields(kind)
    for key, value in layer.values.items():
        if key not in known:
            names = [f"{prefix}{name}" for name in known]
            fault = unknown("setting", f"{prefix}{key}", names)
            raise UnknownName(f"{layer.where}: {fault}" if layer.where else fault)
        struct = known[key].struct
        if struct is not None and isinstance(value, Mapping):
            check(struct, Layer(value, layer.where), f"{prefix}{key}.")
        else:
            _check_value(known[key], value, layer.name(f"{prefix}{key}"))


def _check_value(field: Field, value: Any, name: str) -> None:
    for word in value if field.is_list and isinstance(value, list | tuple) else (value,):
        if field.choices and isinstance(word, str) and word not in field.choices:
            raise UnknownName(f"{name}: {unknown('value', word, field.choices)}")
    try:
        found = msgspec.convert(value, field.hint, strict=False)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{name}: {fault}, not {value!r}") from None
    if isinstance(found, float) and not math.isfinite(found):
        raise UsageError(f"{name}: expected a finite number, not {value!r}")


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`; mappings in both are merged in the same way."""
    both = {
        name: _merged(below[name], value)
        for name, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping)
    }
    return {**below, **above, **both}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values from Python as a file would have them: paths as text, structures as mappings."""
    return {
        name: str(value)
        if isinstance(value, Path)
        else msgspec.to_builtins(value)
        if isinstance(value, msgspec.Struct)
        else value
        for name, value in values.items()
    }
