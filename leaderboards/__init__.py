"""Definitions of leaderboards, and results that papers report."""

from pathlib import Path

_FOLDER = Path(__file__).parent
EVAL_ANYTHING = _FOLDER / "eval_anything.toml"
EXTERNAL = _FOLDER / "external.toml"
