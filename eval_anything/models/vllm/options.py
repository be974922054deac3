"""What can be said of a vLLM server: `-M key=value`, checked as far as it can be without vLLM."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.suggest import unknown
from eval_anything.values import Modality

Count = Annotated[int, msgspec.Meta(ge=1)]
MEDIA: tuple[Modality, ...] = ("image", "audio", "video")
TRANSPORT = (
    *("python", "tensor_parallel", "pipeline_parallel", "data_parallel", "gpu_memory"),
    *("port", "api_key_env", "start_s", "keep_server"),
)
"""Options that change where a server runs and how fast, not what it answers."""
_OURS = {
    "--api-key": "it would be in the process list: name a variable with api_key_env",
    "--port": "use -M port=N",
    "--host": "a managed server listens on this machine alone",
    "--uds": "a managed server listens on a port",
    "--served-model-name": "the server is asked by the model's own name",
    "--model": "it is the model's name",
}
_NAME = re.compile(r"[\w.-]+")


class VLLMOptions(msgspec.Struct, frozen=True, kw_only=True):
    python: str | None = None
    """Interpreter of the environment that has vLLM; None: this one."""
    revision: str | None = None
    """Branch, tag or commit of a hub id; None: the default branch."""
    tensor_parallel: Count = 1
    """GPUs over which each layer is divided."""
    pipeline_parallel: Count = 1
    """Groups of GPUs over which the layers are divided."""
    data_parallel: Count = 1
    """Copies of the model that share the requests."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of weights and activations; auto: the checkpoint's."""
    max_model_len: Count | None = None
    """Tokens of prompt and answer together; None: what the checkpoint says."""
    gpu_memory: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Share of each GPU's memory that the server takes; None: vLLM's default."""
    limit: str = ""
    """Most media in one request: image=4,video=1. None of a kind (audio=0) saves its memory."""
    chat_template: str | None = None
    """A Jinja file in place of the checkpoint's chat template."""
    tool_parser: str | None = None
    """vLLM's parser of the model's tool calls (hermes, llama3_json ...); without one it has no tools."""
    lora: str = ""
    """Adapters: NAME=FOLDER,NAME=FOLDER."""
    adapter: str | None = None
    """Which of the adapters answers; None: the first."""
    omni: bool = False
    """Serve with vLLM-Omni, for models that give media."""
    inputs: str = ""
    """Modalities that the model takes; empty: what its checkpoint says."""
    outputs: str = "text"
    """Modalities that the model gives."""
    voice: str = "alloy"
    """Voice of audio output."""
    args: str = ""
    """Further arguments of `vllm serve`, written as for a shell: --enforce-eager --max-num-seqs 64."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """Where the server listens; 0: any free port."""
    api_key_env: str | None = None
    """Environment variable with the key that the server asks for; None: a key made for this user."""
    start_s: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    """Seconds that a start may take, a download of the weights included."""
    keep_server: bool = False
    """Leave the server running for the next run (--keep-server)."""


def limits(options: VLLMOptions, where: str) -> dict[str, int]:
    """Option `limit` by modality. Raises UnknownName for another word, UsageError for what is no number."""
    found: dict[str, int] = {}
    for name, value in _pairs(options.limit, f"{where}: option limit", "image=4,video=1"):
        if name not in MEDIA:
            raise UnknownName(f"{where}: option limit: {unknown('modality', name, MEDIA)}")
        if not value.isdecimal():
            raise UsageError(f"{where}: option limit: {name}={value}: expected a number of media")
        found[name] = int(value)
    return found


def adapters(options: VLLMOptions, where: str) -> dict[str, Path]:
    """The folders of option `lora` by name. Raises UsageError where there is no adapter, UnknownName where
    option `adapter` names none of them."""
    found = {}
    for name, value in _pairs(options.lora, f"{where}: option lora", "mine=path/to/adapter"):
        folder = Path(value).expanduser().absolute()
        if not _NAME.fullmatch(name):
            raise UsageError(f"{where}: option lora: {name!r} is no name (letters, digits, . _ -)")
        if not (folder / "adapter_config.json").is_file():
            raise UsageError(f"{where}: option lora: {value}: no adapter there (no adapter_config.json)")
        found[name] = folder
    if options.adapter is not None and options.adapter not in found:
        raise UnknownName(f"{where}: option adapter: {unknown('adapter', options.adapter, found)}")
    return found


def further(options: VLLMOptions, where: str) -> list[str]:
    """Option `args` in words. Raises UsageError for unbalanced quotes and for arguments that are set here."""
    try:
        words = shlex.split(options.args)
    except ValueError as fault:
        raise UsageError(f"{where}: option args: {fault}") from None
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if flag in _OURS:
            raise UsageError(f"{where}: option args: {flag} is not taken: {_OURS[flag]}")
    return words


def _pairs(text: str, where: str, example: str) -> list[tuple[str, str]]:
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if wrong := [name for name, _, value in pairs if not name or not value]:
        raise UsageError(f"{where}: {wrong[0]!r}: expected {example}")
    return [(name, value) for name, _, value in pairs]
