"""Which vLLM there is in an environment, and whether it will do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec

from eval_anything.errors import MissingExtra, UsageError
from eval_anything.models.foreign import environment, interpreter

_ASK = Path(__file__).with_name("ask_versions.py")
_OLDEST = (0, 10)
_ASK_S = 60.0


class Installed(msgspec.Struct, frozen=True):
    """Versions; "unknown" where a package does not tell its own."""

    vllm: str | None = None
    vllm_omni: str | None = None


def find_vllm(python: str | None, omni: bool, spec: str) -> tuple[str, Installed]:
    """The interpreter that runs vLLM, and what is installed for it.

    Raises MissingExtra where vLLM (for `omni`, vLLM-Omni) is not, UsageError where it is too old or there is
    no such interpreter. `spec` begins the messages.
    """
    path = sys.executable if python is None else interpreter(python, spec)
    found = _ask(path, spec)
    if found.vllm is None:
        raise MissingExtra(
            f"{spec}: vLLM is not installed in {path}: pip install 'eval-anything[vllm]', or name the "
            "interpreter of an environment that has it with -M python=ENVIRONMENT/bin/python"
        )
    if _is_old(found.vllm):
        oldest = ".".join(map(str, _OLDEST))
        raise UsageError(
            f"{spec}: vLLM {found.vllm} in {path} is too old: {oldest} is the oldest that is known to work "
            f"({path} -m pip install --upgrade vllm)"
        )
    if omni and found.vllm_omni is None:
        raise MissingExtra(f"{spec}: vLLM-Omni is not installed in {path}: {path} -m pip install vllm-omni")
    return path, found


def _ask(path: str, spec: str) -> Installed:
    try:
        done = subprocess.run(
            [path, str(_ASK)], capture_output=True, env=environment(), timeout=_ASK_S, check=False
        )
        return msgspec.json.decode(done.stdout, type=Installed)
    except (OSError, subprocess.TimeoutExpired, msgspec.MsgspecError) as fault:
        raise UsageError(f"{spec}: {path} is not an interpreter that works: {fault}") from None


def _is_old(version: str) -> bool:
    """A version that cannot be read (one built from source) is taken to be new."""
    found = re.match(r"(\d+)\.(\d+)", version)
    numbers = _OLDEST if found is None else (int(found[1]), int(found[2]))
    return (0, 0) < numbers < _OLDEST  # a build without tags calls itself 0.0
