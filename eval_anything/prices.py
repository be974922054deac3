"""The price table: what models cost, from the data file beside this one and from the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.options import option_names
from eval_anything.suggest import unknown
from eval_anything.values import Price

_BUILT_IN = Path(__file__).with_name("prices.yaml")
EXAMPLE = "openai/my-model: {input: 0.5, output: 1.5}"


class Prices:
    """Prices by model spec; those of the user's file come first."""

    def __init__(self, own: str | None = None) -> None:
        """`own`: a YAML or TOML file of the built-in one's form.

        Raises UsageError for a file that is not one, naming the file and the model, UnknownName for a price
        of something that has none.
        """
        self._own = _read(Path(own).expanduser(), "--prices") if own is not None else {}

    def find(self, spec: str, server: str | None) -> Price | None:
        """The price of the model that is called `spec` ("openai/gpt-4o") and served by the host `server`.

        None for `server`: a local model, for which only the user may know a price.
        """
        for table in (self._own, {} if server is None else _built_in()):
            price = table.get(spec)
            if price is not None and price.server in ("", server):
                return price
        return None


@cache
def _built_in() -> dict[str, Price]:
    return _read(_BUILT_IN, "built-in prices")


def _read(path: Path, where: str) -> dict[str, Price]:
    listed = _load(path, where)
    models = listed.get("models") if isinstance(listed, Mapping) else None
    if not isinstance(models, Mapping) or set(listed) != {"models"}:
        raise UsageError(f"{where}: {path}: expected one mapping, `models`, such as models: {{{EXAMPLE}}}")
    return {str(spec): _price(values, f"{where}: {path}: {spec}", path) for spec, values in models.items()}


def _load(path: Path, where: str) -> Any:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return yaml.safe_load(text)
    except OSError as fault:
        raise UsageError(f"{where}: {path}: {fault.strerror}") from None
    except (yaml.YAMLError, tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        said = " ".join(str(fault).split())
        kind = "TOML" if path.suffix == ".toml" else "YAML"
        raise UsageError(f"{where}: {path}: not {kind}: {said}") from None


def _price(values: Any, where: str, path: Path) -> Price:
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: expected prices, such as {EXAMPLE.partition(': ')[2]}")
    for name in values:
        if name not in option_names(Price):
            raise UnknownName(f"{where}: {unknown('price', str(name), option_names(Price))}")
    plain = {name: str(value) if name == "date" else value for name, value in values.items()}
    try:
        return msgspec.convert({"source": str(path), **plain}, Price)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{where}: {fault}") from None
