"""Values as JavaScript files: what a page that was opened from disk can load, which may fetch no file."""

from __future__ import annotations

from typing import Any

import msgspec

_UNSAFE = {
    b"<": b"\\u003c",
    b">": b"\\u003e",
    b"&": b"\\u0026",
    "\u2028".encode(): b"\\u2028",
    "\u2029".encode(): b"\\u2029",
}


def call(name: str, *values: Any) -> bytes:
    """`EA.name(value, ...);` with the values as JSON in which nothing can end a script or begin a tag."""
    text = b", ".join(map(literal, values))
    return b"EA." + name.encode() + b"(" + text + b");\n"


def literal(value: Any) -> bytes:
    """JSON that is safe inside of a script."""
    text = msgspec.json.encode(value)
    for unsafe, safe in _UNSAFE.items():
        text = text.replace(unsafe, safe)
    return text
