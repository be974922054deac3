"""The judge's prompt in MIA-Bench's own notebook, read as data: no cell is ever executed."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec

from eval_anything.errors import DataError
from eval_anything.suggest import unknown

FILE = "evaluation.ipynb"
_FUNCTION = "generate_prompt"
_OURS = {"instruction": "{question}", "components": "{components}", "response": "{response}", "score": ""}
"""The notebook's variables, and what stands in their place. `score` says what each component is worth, which
our {components} does."""


class _Cell(msgspec.Struct, frozen=True):
    source: str | list[str] = ""
    cell_type: str = ""


class _Notebook(msgspec.Struct, frozen=True):
    cells: list[_Cell]


def read_prompt(path: Path) -> str:
    """The prompt that `generate_prompt` returns, as a template. Raises DataError where it is not found."""
    try:
        cells = msgspec.json.decode(path.read_bytes(), type=_Notebook).cells
    except (OSError, msgspec.MsgspecError) as fault:
        raise DataError(f"{path}: not a notebook: {fault}") from None
    for cell in cells:
        source = cell.source if isinstance(cell.source, str) else "".join(cell.source)
        if cell.cell_type != "code" or _FUNCTION not in source:
            continue
        for node in _body(source):
            if isinstance(node, ast.FunctionDef) and node.name == _FUNCTION:
                return _template(path, node)
    raise DataError(f"{path}: no cell defines {_FUNCTION}")


def _body(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # a cell with a command of the notebook's own, such as %env
        return []


def _template(path: Path, function: ast.FunctionDef) -> str:
    last = function.body[-1]
    if not isinstance(last, ast.Return) or last.value is None:
        raise DataError(f"{path}: {_FUNCTION} does not end in a return")
    return "".join(_pieces(path, last.value))


def _pieces(path: Path, node: ast.expr) -> list[str]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*_pieces(path, left), *_pieces(path, right)]
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name):
            if name not in _OURS:
                raise DataError(f"{path}: {_FUNCTION}: {unknown('variable', name, _OURS)}")
            return [_OURS[name]]
        case _:
            raise DataError(
                f"{path}: {_FUNCTION} returns something else than texts and variables joined by +"
            )
