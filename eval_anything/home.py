"""Where eval-anything keeps what outlives a run: caches, the embedded model."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder named by EVAL_ANYTHING_HOME, else `~/.cache/eval-anything`; not necessarily there yet."""
    named = os.environ.get("EVAL_ANYTHING_HOME", "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "eval-anything"
