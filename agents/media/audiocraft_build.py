"""Builds the environment in which the audiocraft worker runs: about 1.5 GB, a few minutes, once."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from eval_anything.errors import UsageError

_REQUIREMENTS = Path(__file__).with_name("audiocraft_requirements.txt")
_WORKER = Path(__file__).with_name("audiocraft_worker.py")
_AUDIOCRAFT = "audiocraft==1.3.0"


def build(folder: Path) -> Path:
    """The interpreter of an environment in `folder` with audiocraft in it, made first if it is not there.

    An environment that is there already is brought to the pinned versions, which is quick if it has them.
    Raises UsageError where a package cannot be had, or audiocraft does not import in the end.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{folder}: not empty, and no environment: give another with --dir")
        venv.create(folder, with_pip=True)
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(_REQUIREMENTS))
    # Without its own requirements, which would take torch and all else back by years; its source
    # distribution is built by the setuptools that the requirements have brought.
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    _run(python, "-m", "pip", "install", *quiet, _AUDIOCRAFT)
    _run(python, str(_WORKER), "--check")
    return python


def _run(python: Path, *arguments: str) -> None:
    done = subprocess.run(
        [python, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        sys.stderr.write(done.stdout)
        lines = [line for line in done.stdout.splitlines() if line.strip()] or ["nothing was said"]
        raise UsageError(f"{' '.join(arguments)[:80]} failed: {lines[-1][:300]}")
