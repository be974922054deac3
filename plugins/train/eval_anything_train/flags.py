"""Options of the command line for the fields of settings: --max-length, --lora.rank, --flag/--no-flag."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from eval_anything.cli.pairs import pairs
from eval_anything_train.config import flag
from eval_anything_train.fields import Field, fields

_DEST = "setting "
"""Begins the names of settings among parsed arguments, so that no other option can have the same name."""


def add_flags(
    parser: argparse.ArgumentParser, title: str, struct: type[msgspec.Struct], names: Iterable[str]
) -> argparse._ArgumentGroup:
    """A group with an option for each of the fields `names` of `struct`. Those of nested structures have
    dotted names and groups of their own."""
    group = parser.add_argument_group(title)
    known = fields(struct)
    for name in names:
        _add(parser, group, known[name], name)
    return group


def _add(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup, field: Field, path: str) -> None:
    if field.struct is None:
        _add_flag(group, field, path)
        return
    given: dict[str, Any] = {"dest": _DEST + path, "default": argparse.SUPPRESS}
    inner = parser.add_argument_group(path, _help(field))
    inner.add_argument(
        flag(path), action="extend", nargs="+", metavar="KEY=VALUE", help="several of these at once", **given
    )
    if field.optional:
        inner.add_argument(
            f"--no-{flag(path)[2:]}",
            action="store_const",
            const=None,
            help="none, whatever preset and file say",
            **given,
        )
    for name, one in fields(field.struct).items():
        _add(parser, inner, one, f"{path}.{name}")


def _add_flag(parser: argparse._ArgumentGroup, field: Field, path: str) -> None:
    given: dict[str, Any] = {"dest": _DEST + path, "default": argparse.SUPPRESS, "help": _help(field)}
    if field.is_switch:
        parser.add_argument(flag(path), action=argparse.BooleanOptionalAction, **given)
    elif field.is_mapping:
        parser.add_argument(flag(path), action="extend", nargs="+", metavar=field.metavar, **given)
    else:
        parser.add_argument(flag(path), metavar=field.metavar, **given)


def _help(field: Field) -> str:
    text = field.doc.rstrip(".") if field.doc.count(".") == 1 else field.doc
    if field.struct is None and field.default not in (None, (), {}, ""):
        text += f" (default: {_shown(field.default)})"
    return text.replace("%", "%%")


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def given(args: argparse.Namespace, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The settings that the command line has, as a nested mapping. Raises UsageError for a wrong pair."""
    found: dict[str, Any] = {}
    for dest, value in vars(args).items():
        if dest.startswith(_DEST):
            _put(found, dest.removeprefix(_DEST), value, struct)
    return found


def _put(found: dict[str, Any], path: str, value: Any, struct: type[msgspec.Struct]) -> None:
    *outer, name = path.split(".")
    place, owner = found, struct
    for part in outer:
        held = fields(owner)[part].struct
        assert held is not None
        place, owner = _opened(place, part), held
    field = fields(owner)[name]
    if field.is_mapping:
        _opened(place, name).update(pairs(flag(path), value))
    elif field.struct is not None and value is not None:
        _opened(place, name).update(_split(pairs(flag(path), value), field.struct))
    else:
        place[name] = _split({name: value}, owner)[name]


def _opened(place: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping under `name`, made where there is none."""
    if not isinstance(place.get(name), dict):
        place[name] = {}
    inner: dict[str, Any] = place[name]
    return inner


def _split(values: Mapping[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Lists from their words: "a,b" is [a, b]."""
    known = fields(struct)
    return {
        name: [word.strip() for word in value.split(",") if word.strip()]
        if isinstance(value, str) and name in known and known[name].is_list
        else value
        for name, value in values.items()
    }
