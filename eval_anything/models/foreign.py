"""Programs of other environments: how their interpreters are named, and what of our environment they see."""

from __future__ import annotations

import os
from pathlib import Path

from eval_anything.errors import UsageError

_LEADS_TO_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would lead another interpreter to our packages, and `more`."""
    return {**{k: v for k, v in os.environ.items() if k not in _LEADS_TO_OURS}, **more}


def interpreter(python: str, where: str) -> str:
    """The path of an environment's interpreter. `where` begins the message of the UsageError for one that is
    not there."""
    path = Path(python).expanduser().absolute()  # not resolved: an environment's interpreter is a link
    if not path.is_file():
        raise UsageError(f"{where}: option python: no such file: {python}")
    return str(path)
