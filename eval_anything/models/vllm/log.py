"""What a vLLM server's log tells: how far a start is, why it failed, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL_BYTES = 200_000
_SHOWN_LINES = 12
_LINE_CHARS = 300
_STAGES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Resolved architecture"), "reading the checkpoint"),
    (re.compile(r"Starting to load model|Loading weights|Downloading"), "loading weights"),
    (re.compile(r"checkpoint shards:\s+(\d+)%"), "loading weights, {} %"),
    (re.compile(r"Dynamo bytecode|Compiling a graph|torch\.compile"), "compiling"),
    (re.compile(r"KV cache size|CPU blocks|GPU blocks|Available KV cache"), "reserving memory"),
    (re.compile(r"Capturing CUDA graphs?\D*(\d+)%"), "capturing CUDA graphs, {} %"),
    (re.compile(r"Starting vLLM (API )?server|Started server process"), "beginning to listen"),
)
# What stands before a message: "(EngineCore_0 pid=7) ERROR 11-21 09:08:07 [core.py:708] ".
_PREFIX = re.compile(
    r"^(\(\w[^)]*\) ?)?((?P<level>DEBUG|INFO|WARNING|ERROR) \d\d-\d\d \d\d:\d\d:\d\d \[[^]]*\] ?)?"
)
_FAULT = re.compile(
    r"^([A-Za-z_][\w.]*\.)?[A-Z]\w*(Error|Exception|Interrupt|Exit)\b(: |$)"
    r"|^\S.*\berror: |^Value error, |.* died unexpectedly"
)
# Say only that something went wrong elsewhere, or follow from it.
_INDIRECT = re.compile(
    r"See (root cause above|stack trace)|EngineDeadError|EngineCore (encountered|failed)|: cancelled$"
    r"|validation errors? for "
)
# Follow every end, or are long and for vLLM's own developers.
_NOISE = re.compile(
    r"^ - |^nanobind|^See https://nanobind|resource_tracker|warnings\.warn|Route: |\] Dumping "
)

_MEMORY = (
    "a smaller -M max_model_len, -M limit, or more GPUs with -M tensor_parallel=N makes it fit; what else "
    "holds the GPU's memory (nvidia-smi) must end, or -M gpu_memory=SHARE be lowered below what is free"
)
_ADVICE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"address already in use", re.I), "the port is taken: -M port=0 takes any free one"),
    (
        re.compile(
            r"out of memory|OutOfMemoryError|Free memory on device|No available memory for the cache"
            r"|KV cache (is )?needed|larger than the (available|maximum number of)|DefaultCPUAllocator",
            re.I,
        ),
        _MEMORY,
    ),
    (
        re.compile(r"unrecognized arguments|the following arguments|invalid choice"),
        "this vLLM does not take these options: `vllm serve --help` says which (-M args, -M tool_parser)",
    ),
    (
        re.compile(r"Failed to infer device type|No CUDA GPUs are available|no NVIDIA driver", re.I),
        "vLLM finds no GPU that it can use: see nvidia-smi and CUDA_VISIBLE_DEVICES",
    ),
    (
        re.compile(r"World size .* is larger than|tensor parallel size|must be divisible by", re.I),
        "-M tensor_parallel does not fit the model or the number of GPUs",
    ),
    (
        re.compile(r"architectures? .*(not supported|does not recognize)|does not recognize this arch", re.I),
        "this vLLM does not know the model: a newer one (or -M python=ENVIRONMENT/bin/python) may",
    ),
    (re.compile(r"max_model_len|max(imum)? (seq|model) len", re.I), "-M max_model_len=N must be smaller"),
    (re.compile(r"trust_remote_code|trust-remote-code"), "-M args=--trust-remote-code runs its code"),
)


class LogReader:
    """Follows a log while it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.stage = "starting vLLM"
        """How far the start is, in words."""

    def follow(self) -> str:
        """Read what is new; returns `stage`."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return self.stage
        self._offset += len(new)
        for line in re.split(r"[\r\n]", new.decode("utf-8", "replace")):
            for pattern, words in _STAGES:
                if found := pattern.search(line):
                    self.stage = words.format(*found.groups())
        return self.stage


def end_of(path: Path) -> str:
    """The last lines of a log, indented, for a message; empty where it says nothing."""
    return "".join(f"\n  | {line[:_LINE_CHARS]}" for line in _lines(path)[-_SHOWN_LINES:])


def reason(path: Path) -> str:
    """The line of a log that says best why the server ended: its last error, else its last line."""
    faults, lines = _faults(path)
    direct = [line for line in faults if not _INDIRECT.search(line)]
    return (direct or faults or lines or ["its log says nothing"])[-1]


def advice(path: Path) -> str:
    """What to do about the failure that a log tells of; empty where nothing is known to help."""
    for line in (reason(path), *_faults(path)[0]):
        for pattern, words in _ADVICE:
            if pattern.search(line):
                return words
    return ""


def _faults(path: Path) -> tuple[list[str], list[str]]:
    """The lines that tell of errors, and all lines; without what stands before each message."""
    faults, lines = [], []
    for line in map(str.strip, _lines(path)):
        prefix = _PREFIX.match(line)
        said = line if prefix is None else line[prefix.end() :].strip()
        lines += [said] if said else []
        if _FAULT.match(said) and (prefix is None or prefix["level"] in (None, "ERROR")):
            faults.append(said)
    return faults, lines


def port_was_taken(path: Path) -> bool:
    return _ADVICE[0][1] == advice(path)


def _lines(path: Path) -> list[str]:
    """The printable lines of a log's last part."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            data = file.read()
    except OSError:
        return []
    lines = re.split(r"[\r\n]+", data.decode("utf-8", "replace"))
    told = [line for line in lines if line.strip() and not _NOISE.search(line)]
    return ["".join(c if c.isprintable() else " " for c in line).rstrip() for line in told]
