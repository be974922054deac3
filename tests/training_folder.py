"""A training run's directory, written as trainers write it."""

import json
import os
import struct
import time
from pathlib import Path

SAMPLES = 12


def weights(values: int = 4) -> bytes:
    """A safetensors file with one tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 4 * values


def checkpoint(folder: Path, name: str, right: int = SAMPLES, age_s: float = 60) -> Path:
    """Whole, with answers to text_task's samples beside the weights, the first `right` of them right."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights())
    with (path / "answers.jsonl").open("w") as file:
        for i in range(SAMPLES):
            answer = str(i + 1) if i < right else "nothing"
            file.write(json.dumps({"id": str(i), "response": answer}) + "\n")
    aged(path, age_s)
    return path


def aged(path: Path, age_s: float) -> None:
    then = time.time() - age_s
    for entry in (*path.iterdir(), path):
        os.utime(entry, (then, then))
