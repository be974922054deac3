"""The nearest right name for a wrong one."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known name closest to `wrong`, or None when nothing is close."""
    import difflib

    folded = {name.lower().replace("-", "_"): name for name in known}
    hits = difflib.get_close_matches(wrong.lower().replace("-", "_"), list(folded), n=1, cutoff=0.5)
    return folded[hits[0]] if hits else None


def unknown(what: str, wrong: str, known: Iterable[str]) -> str:
    """One line that names the fault, the nearest right name, and the choice when it is short."""
    names = sorted(known)
    line = f"unknown {what} {wrong!r}"
    if (hit := nearest(wrong, names)) is not None:
        line += f"; did you mean {hit!r}?"
    if 0 < len(names) <= 12:
        line += f" (known: {', '.join(names)})"
    return line
