"""Environments with a stand-in for vLLM, and checkpoints that say how it behaves."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import venv
from pathlib import Path
from typing import Any

STANDIN = Path(__file__).parent / "servers" / "vllm_standin" / "vllm"
QWEN = {"model_type": "qwen2_vl", "vision_config": {}, "image_token_id": 1, "video_token_id": 2}


def environment(folder: Path, version: str = "0.32.0", omni: bool = False) -> Path:
    """The interpreter of a new environment in `folder` that has the stand-in as its vLLM."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python3*")) / "site-packages"
    for name in ("vllm", "vllm_omni") if omni else ("vllm",):
        shutil.copytree(STANDIN, site / name)
        (site / name / "_version.py").write_text(f"__version__ = version = {version!r}\n")
    return folder / "bin" / "python"


def checkpoint(folder: Path, config: dict[str, Any] | None = None, **behaviour: Any) -> Path:
    """A folder that passes for a checkpoint, of a model that sees where `config` does not say otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(QWEN if config is None else config))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    (folder / "standin.json").write_text(json.dumps(behaviour))
    return folder


def processes(marker: str) -> list[int]:
    """Those that have `marker` in their command line, and what they have started, in whatever session."""
    found: list[int] = []
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
                if state == "Z":
                    continue
                parents[int(name)] = int(parent)
                if marker in Path(f"/proc/{name}/cmdline").read_text():
                    found.append(int(name))
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid and child not in found]
    return found


def are_gone(pids: list[int], within_s: float = 15.0) -> bool:
    """Whether all of these processes end."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not any(_lives(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
