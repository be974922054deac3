"""Secrets never reach a file: every line is blanked on its way to disk, whoever put the secret there."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Blanks:
    """Replaces known secrets by `***` in JSON text."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        distinct = {s for s in secrets if s}
        self._needles = sorted((msgspec.json.encode(s)[1:-1] for s in distinct), key=len, reverse=True)

    def __call__(self, json_text: bytes) -> bytes:
        for needle in self._needles:
            if needle in json_text:
                json_text = json_text.replace(needle, b"***")
        return json_text
