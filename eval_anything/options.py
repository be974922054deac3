"""Strict options: `-M key=value` pairs and YAML mappings into typed structs, typos named.

A component (model provider, judge, task) declares its options as a `msgspec.Struct` with defaults and a
docstring under each field; `parse` fills it and refuses whatever is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.suggest import unknown

S = TypeVar("S", bound=msgspec.Struct)


def option_names(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(kind.__struct_encode_fields__)


def parse(kind: type[S], values: Mapping[str, Any], where: str) -> S:
    """Fill `kind` from `values` (strings from a command line are converted).

    Raises UnknownName for a key that `kind` does not have, UsageError for a value of the wrong type;
    `where` ("option of model fake/echo") begins both messages.
    """
    for key in values:
        if key not in option_names(kind):
            raise UnknownName(f"{where}: {unknown('option', key, option_names(kind))}")
    try:
        return msgspec.convert(dict(values), kind, strict=False)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{where}: {fault}") from None


def split(values: Mapping[str, Any], kinds: tuple[type[msgspec.Struct], ...], where: str) -> list[Any]:
    """Distribute one flat mapping over several structs with disjoint fields, in the order of `kinds`."""
    names = [option_names(kind) for kind in kinds]
    known = [name for group in names for name in group]
    for key in values:
        if key not in known:
            raise UnknownName(f"{where}: {unknown('option', key, known)}")
    return [
        parse(kind, {k: v for k, v in values.items() if k in group}, where)
        for kind, group in zip(kinds, names, strict=True)
    ]
