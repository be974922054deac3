"""What a structure of settings asks for, field by field: flags, help and checks are made from it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect

from eval_anything.docstrings import field_docs

_NUMBERS = {inspect.IntType: "N", inspect.FloatType: "X", inspect.StrType: "TEXT"}


@dataclasses.dataclass(frozen=True)
class Field:
    """One setting."""

    name: str
    owner: type[msgspec.Struct]
    doc: str
    """The docstring under it, as one line."""
    kind: inspect.Type
    """Without the None of an optional one."""
    hint: Any
    """Its annotation, as `msgspec.convert` takes it."""
    default: Any
    """None where it has none: see `required`."""
    required: bool
    optional: bool
    """Whether it may be None."""

    @property
    def struct(self) -> type[msgspec.Struct] | None:
        """The structure that it holds, if it holds one."""
        return self.kind.cls if isinstance(self.kind, inspect.StructType) else None

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it may be, in the order of the declaration; none where any value may be."""
        return tuple(str(word) for word in _declared(self.hint))

    @property
    def is_switch(self) -> bool:
        return isinstance(self.kind, inspect.BoolType)

    @property
    def is_list(self) -> bool:
        return isinstance(self.kind, inspect.VarTupleType | inspect.TupleType | inspect.ListType)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.kind, inspect.DictType)

    @property
    def metavar(self) -> str:
        """What help shows in the value's place."""
        if self.is_mapping:
            return "KEY=VALUE"
        if self.choices and not self.is_list:
            return "|".join(self.choices)
        if isinstance(self.kind, inspect.TupleType):
            return ",".join(_NUMBERS[type(item)] for item in self.kind.item_types)
        if self.is_list:
            return "A,B"
        return _NUMBERS.get(type(self.kind), "VALUE")


@functools.cache
def fields(struct: type[msgspec.Struct]) -> Mapping[str, Field]:
    """The fields of `struct` by name, inherited ones first."""
    docs = field_docs(struct)
    hints = {one.name: one.type for one in msgspec.structs.fields(struct)}
    found = inspect.type_info(struct)
    assert isinstance(found, inspect.StructType)
    return {one.name: _field(struct, one, docs.get(one.name, ""), hints[one.name]) for one in found.fields}


def _field(owner: type[msgspec.Struct], one: inspect.Field, doc: str, hint: Any) -> Field:
    kinds = one.type.types if isinstance(one.type, inspect.UnionType) else (one.type,)
    held = [kind for kind in kinds if not isinstance(kind, inspect.NoneType)]
    default = one.default_factory() if one.default_factory is not msgspec.NODEFAULT else one.default
    return Field(
        name=one.name,
        owner=owner,
        doc=doc,
        kind=held[0],
        hint=hint,
        default=None if default is msgspec.NODEFAULT else default,
        required=one.required,
        optional=len(held) < len(kinds),
    )


def _declared(hint: Any) -> tuple[Any, ...]:
    """The words of the Literal in `hint`, which may be optional; none where there is none."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((words for one in get_args(hint) if (words := _declared(one))), ())
