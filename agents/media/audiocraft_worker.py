"""Generates with audiocraft, in an environment of its own; speaks JSON lines with the harness.

Run as: PYTHON audiocraft_worker.py NAME --out DIR --device auto|cpu|cuda
or as:  PYTHON audiocraft_worker.py --check, which says hello without a model, and ends
Says at first      {"hello": {"audiocraft": ..., "sample_rate": ...}}, or {"error": ...}, and ends.
Is asked           {"id": 1, "prompt": "...", "seed": 7, "duration_s": 10.0}
Answers            {"id": 1, "path": "DIR/1.wav"} or {"id": 1, "error": "..."}
Ends when standard input closes, also in the middle of a generation, so it never outlives who started it.

Imports nothing of the harness, which is not installed where this runs.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import os
import queue
import sys
import threading
import types
import wave
from pathlib import Path
from typing import Any

# Imported by audiocraft, and needed only for training, text parsing and file formats that are not used here.
_STANDINS = ("xformers", "spacy", "demucs", "torchtext", "torchaudio", "torchmetrics", "encodec", "gradio")


class _Absent(types.ModuleType):
    """A module that is not there: each of its names is an empty class, enough to import and derive from."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Standins(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Comes last, so it acts only for what is not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if (
            name.partition(".")[0] in _STANDINS and name != "xformers.profiler"
        ):  # it asks whether that is there
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    say = _take_over_stdout()
    if args.check:
        say({"hello": _import()})
        return
    asked: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        model, hello = _load(args.name, args.device)
    except Exception as fault:  # noqa: BLE001 - whatever it is, the harness is told, and this process ends
        say({"error": _shown(fault)})
        sys.exit(1)
    say({"hello": hello})
    while True:
        request = json.loads(asked.get())
        try:
            say({"id": request["id"], "path": str(_generate(model, request, args.out))})
        except Exception as fault:  # noqa: BLE001 - belongs to this one request
            say({"id": request["id"], "error": _shown(fault)})


def _take_over_stdout() -> Any:
    """Keep the protocol's stream to ourselves: what libraries print goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return say


def _listen(asked: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)


def _import() -> dict[str, Any]:
    """Make audiocraft importable, and tell the versions."""
    # A script's folder comes first, and this one holds a module named as the package that is meant.
    sys.path = [p for p in sys.path if Path(p).resolve() != Path(__file__).resolve().parent]
    sys.meta_path.append(_Standins())
    import torch
    import xformers.ops

    if isinstance(xformers.ops, _Absent):
        xformers.ops.unbind = torch.unbind  # the one thing that it uses of it with its attention by torch
    import audiocraft
    import audiocraft.models

    versions = {"audiocraft": audiocraft.__version__, "torch": torch.__version__}
    return {**versions, "python": sys.version.split()[0]}


def _load(name: str, device: str) -> tuple[Any, dict[str, Any]]:
    versions = _import()
    import torch
    from audiocraft.models import AudioGen, MusicGen

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = AudioGen if "audiogen" in name.lower() else MusicGen
    model = kind.get_pretrained(name, device=device)
    made_by = {"class": kind.__name__, "device": device, "sample_rate": int(model.sample_rate)}
    return model, {**versions, **made_by}


def _generate(model: Any, request: dict[str, Any], out: Path) -> Path:
    import torch

    torch.manual_seed(request["seed"])
    model.set_generation_params(duration=request["duration_s"])
    samples = model.generate([request["prompt"]])[0].float().cpu()
    if not bool(torch.isfinite(samples).all()):
        raise ValueError("made samples that are not finite")
    pcm = (samples.clamp(-1, 1) * 32767).round().to(torch.int16).t().contiguous()
    path = out / f"{request['id']}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(int(model.sample_rate))
        file.writeframes(pcm.numpy().astype("<i2").tobytes())
    return path


def _shown(fault: BaseException) -> str:
    lines = str(fault).strip().splitlines() or [""]
    return f"{type(fault).__name__}: {lines[0][:500]}"


if __name__ == "__main__":
    main()
