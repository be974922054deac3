"""The docstring under each field of a struct, for `show` and the docs: said once, in the code."""

from __future__ import annotations

import ast
import inspect
import textwrap


def field_docs(struct: type) -> dict[str, str]:
    """Field name -> the string literal that follows it in the class body, as one line."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(struct)))
    except (OSError, SyntaxError):  # source not available (a frozen application): fields without words
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for field, after in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[field.target.id] = " ".join(str(after.value.value).split())
    return found
