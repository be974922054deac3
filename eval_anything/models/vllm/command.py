"""The command line of a vLLM server, and the environment that it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from eval_anything.models.foreign import environment
from eval_anything.models.vllm import served
from eval_anything.models.vllm.options import VLLMOptions

HOST = "127.0.0.1"
_CLI, _OMNI_CLI = "vllm.entrypoints.cli.main", "vllm_omni.entrypoints.cli.main"


def command(
    python: str,
    model: str,
    name: str,
    options: VLLMOptions,
    media: Mapping[str, int],
    adapters: Mapping[str, Path],
    further: Sequence[str],
) -> list[str]:
    """`vllm serve` for `model` (an absolute folder, or a hub id with its commit in `options`), which is asked
    as `name`; all but the port."""
    # By module, as its script may be anywhere, or belong to another environment.
    words = [python, "-m", _OMNI_CLI if options.omni else _CLI, "serve", model]
    words += ["--served-model-name", name, "--host", HOST, "--dtype", options.dtype]
    flags = {
        "--revision": options.revision,
        "--max-model-len": options.max_model_len,
        "--gpu-memory-utilization": options.gpu_memory,
        "--tensor-parallel-size": _above_one(options.tensor_parallel),
        "--pipeline-parallel-size": _above_one(options.pipeline_parallel),
        "--data-parallel-size": _above_one(options.data_parallel),
        "--limit-mm-per-prompt": msgspec.json.encode(media).decode() if media else None,
        "--chat-template": options.chat_template and Path(options.chat_template).expanduser().absolute(),
    }
    for flag, value in flags.items():
        words += [] if value is None else [flag, str(value)]
    if options.tool_parser:
        words += ["--enable-auto-tool-choice", "--tool-call-parser", options.tool_parser]
    if adapters:
        words += ["--enable-lora", "--max-lora-rank", str(max(map(served.rank, adapters.values())))]
        words += ["--lora-modules", *(f"{name}={folder}" for name, folder in adapters.items())]
    if options.omni:
        words.append("--omni")
    # One line for each request would bury what its log has to tell.
    return [*words, "--disable-uvicorn-access-log", *further]


def surroundings(python: str, own: bool, key: str) -> dict[str, str]:
    """The server's environment: no keys but its own, and nobody is told that it is used.

    `own`: whether `python` is the interpreter of this process.
    """
    base = dict(os.environ) if own else environment()
    kept = {k: v for k, v in base.items() if not k.endswith("_API_KEY")}
    path = os.pathsep.join((str(Path(python).parent), kept.get("PATH", os.defpath)))
    return {
        **kept,
        "PATH": path,  # compilers that an environment brings are called by name
        "VLLM_API_KEY": key,
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_COLOR": "0",
        "PYTHONUNBUFFERED": "1",
    }


def _above_one(number: int) -> int | None:
    return number if number > 1 else None
