"""Strings from models, data and names made harmless for each output format."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_LONGEST = 400
_READ = 10 * _LONGEST
# More is not looked at: names of megabytes would cost seconds each time that they are shown.
# They reorder what stands around them on the screen, so that a row can be made to show another row's number.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACES = frozenset("\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_MARKDOWN = {
    **{char: "\\" + char for char in "\\`*_[]|~#$"},
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}
_LATEX = {
    **{char: "\\" + char for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
Escape = Callable[[str], str]


def clean(text: str) -> str:
    """One line without control characters, bidirectional overrides or lone surrogates."""
    spaced = "".join(" " if char in _SPACES else char for char in text)
    return "".join(char for char in spaced if _harmless(char))


def _harmless(char: str) -> bool:
    return char not in _BIDI and unicodedata.category(char) not in ("Cc", "Cs")


def plain(text: str) -> str:
    """`clean`, and cut to a length that leaves a table readable."""
    line = clean(text[:_READ])
    cut = len(line) > _LONGEST or len(text) > _READ
    return line[: _LONGEST - 3] + "..." if cut else line


def markdown(text: str) -> str:
    return "".join(_MARKDOWN.get(char, char) for char in plain(text))


def latex(text: str) -> str:
    line = "".join(_LATEX.get(char, char) for char in plain(text))
    # At the start of a table row these would be read as arguments of the line break before it.
    return "{}" + line if line.startswith(("[", "*")) else line


def html(text: str) -> str:
    from html import escape

    return escape(plain(text))


def json_text(text: str) -> str:
    """JSON that a terminal can be shown: the same values, its control characters written as escapes."""
    return "".join(char if char == "\n" or clean(char) == char else f"\\u{ord(char):04x}" for char in text)


def csv_cell(text: str) -> str:
    """A spreadsheet must take the cell for text, never for a formula."""
    line = clean(text)
    return "'" + line if line.lstrip().startswith(("=", "+", "-", "@")) else line
