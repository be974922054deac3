"""The docstring under each field of a struct, for `show` and the docs: said once, in the code."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise


def field_docs(struct: type) -> dict[str, str]:
    """Field name -> the string literal that follows it in the class body, as one line; inherited ones too."""
    found: dict[str, str] = {}
    for cls in reversed(struct.__mro__):
        found.update(_own(cls))
    return found


def _own(cls: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):  # no source: a built-in, or a frozen application
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for field, after in pairwise(body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[name] = " ".join(words.split())
    return found
