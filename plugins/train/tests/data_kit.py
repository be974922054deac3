"""Data files in align-anything's columns, small and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from servers.media_files import mp4, png, wav

from eval_anything.values import File, Message, Text
from eval_anything_train.values import Answer

Row = dict[str, Any]

RATED = {
    "p_response": 1,
    "prompt_following_rate_1": 3,
    "prompt_following_rate_2": 1,
    "p_rationale_1": "It does what was asked.",
    "p_rationale_2": "It wanders off.",
    "clarity_rate_1": 2,
    "clarity_rate_2": 3,
    "c_rationale_1": "A bit long.",
    "c_rationale_2": "Clear.",
}
"""Rates of two answers in two dimensions, as all subtasks have them."""
CRITICISED = {
    "text_critique_1": "##Critique: Right. ##Refinement: Be shorter.",
    "text_critique_2": "##Critique: Wrong. ##Refinement: Look again.",
    "overall_textfeedback": "##Reason: One is right. ##Refinement: None.",
}


def shown(content: bytes, name: str = "x") -> Row:
    """A medium as parquet holds it."""
    return {"bytes": content, "path": name}


def rows(short: str) -> list[Row]:
    """Two rows of a subtask, in the columns of its card; response 1 wins the first, response 2 the second.

    Those of ti2ti and t2v name media files (`write_media`).
    """
    texts = {"response_1": "one", "response_2": "two"}
    made: list[Row]
    match short:
        case "t2t":
            made = [{"question": "q", **texts} for _ in range(2)]
        case "ti2t":
            made = [{"question": "q", "image": shown(png(n)), **texts} for n in range(2)]
        case "ta2t":
            made = [{"prompt": "q", "audio_path": shown(wav()), **texts} for _ in range(2)]
        case "tv2t":
            made = [{"prompt": "q <video>", "video_path": "./videos/a.mp4", **texts} for _ in range(2)]
        case "t2i":
            made = [{"prompt": "q", "image_1": shown(png(1)), "image_2": shown(png(2))} for _ in range(2)]
        case "t2a":
            sounds = {"response_1": shown(wav()), "response_2": {"array": [0.0, 0.5], "sampling_rate": 8000}}
            made = [{"prompt": "q", **sounds} for _ in range(2)]
        case "t2v":
            made = [{"prompt": "q", "video_1": "videos/a.mp4", "video_2": "videos/b.mp4"} for _ in range(2)]
        case "ti2ti":
            images = {f"output_image_url_{n}": f"images/{n}.png" for n in (1, 2)}
            made = [{"question": "q", "image_url": "images/0.png", **texts, **images} for _ in range(2)]
    winner = {"t2i": "overall_image", "t2a": "overall_audio", "t2v": "overall_video"}
    for n, row in enumerate(made):
        row.update(RATED)
        row[winner.get(short, "overall_response")] = n + 1
    return made


def write_media(folder: Path) -> None:
    """The media files that `rows` name."""
    for name, content in (("videos/a.mp4", mp4()), ("videos/b.mp4", mp4())):
        _write(folder / name, content)
    for n in range(3):
        _write(folder / f"images/{n}.png", png(n))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_json(path: Path, made: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, made)) if path.suffix == ".jsonl" else json.dumps(made))
    return path


def write_parquet(path: Path, made: list[Row], row_group: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made), path, row_group_size=row_group)
    return path


def text_of(parts: Answer) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


def asked(question: str = "q", *files: File) -> tuple[Message, ...]:
    return (Message("user", (*files, Text(question))),)
