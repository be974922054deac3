"""Scripted models for LLF on a real socket, small data sets, and settings that ask them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from servers.openai_server import Call

from eval_anything_train import config
from eval_anything_train.data import schema
from eval_anything_train.llf.flow import llf
from eval_anything_train.llf.manifest import LLFOutcome
from eval_anything_train.llf.settings import LLFSettings
from eval_anything_train.values import Pair, Record

ASKED = ("respond", "critique", "refine", "pairs")
"""The stages that need no training."""


def words(message: Any) -> str:
    """The text of one message of a request."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(p.get("text", "") for p in content)


def number(call: Call) -> int:
    """Of the prompt that a request is about: the first number in the user's first words, or 0."""
    asked = next(words(m) for m in call.body["messages"] if m["role"] == "user")
    return int("".join(c for c in asked if c.isdigit())[:2] or 0)


def answering(call: Call) -> str:
    """The initial model: another answer when it is asked again."""
    again = len([m for m in call.body["messages"] if m["role"] == "user"]) > 1
    return f"Better answer {number(call)}" if again else f"Answer {number(call)}"


def advising(call: Call) -> str:
    """The feedback model."""
    return f"##Critique: answer {number(call)} is terse.\n##Refinement: Make {number(call)} better."


def prompts(folder: Path, count: int = 4, **metadata: Any) -> str:
    """A data set of numbered questions: the path of its file."""
    path = folder / "prompts.jsonl"
    rows = [
        {
            "kind": "prompt",
            "id": f"p{n}",
            "messages": [{"role": "user", "parts": f"Question {n:02}?"}],
            **({"metadata": {**metadata, "n": n}} if metadata else {}),
        }
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def settings_of(folder: Path, url: str = "", adviser_url: str = "", **more: Any) -> LLFSettings:
    """Settings under which scripted models do all the talking, and nothing is trained."""
    values: dict[str, Any] = {
        "model": "no/checkpoint",
        "data": str(folder / "prompts.jsonl"),
        "out": str(folder / "llf"),
        "stages": ASKED,
        "generator": "openai/initial",
        "generator_options": {"base_url": url},
        "feedback_model": "openai/adviser",
        "feedback_options": {"base_url": adviser_url},
    }
    return config.assemble(LLFSettings, [config.Layer({**values, **more}, "")], "test")


def run(settings: LLFSettings) -> LLFOutcome:
    return llf(settings, stream=None)


def pairs_of(out: Path) -> list[Pair]:
    return [pair for pair in records_of(out / "pairs" / "pairs.jsonl") if isinstance(pair, Pair)]


def records_of(path: Path) -> Sequence[Record]:
    return [schema.decode(line, str(path)) for line in path.read_bytes().splitlines()]


def dropped_of(out: Path) -> dict[str, str]:
    """Why there is no pair, by the ids of the prompts."""
    lines = (out / "pairs" / "dropped.jsonl").read_bytes().splitlines()
    return {row["id"]: row["why"] for row in map(msgspec.json.decode, lines)}
