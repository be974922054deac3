"""Tiny checkpoints, media of different sizes, conversations with them: for tests of encoding and losses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
import torch
from PIL import Image

from eval_anything.media.convert import write_mp4, write_png, write_wav
from eval_anything.values import File, Message, Modality, Text
from eval_anything_train.collate import Batch, Side, collate
from eval_anything_train.encode import Encoded
from eval_anything_train.policy import Policy, open_policy
from eval_anything_train.settings import Lora
from eval_anything_train.values import Pair

MAKERS: dict[str, Callable[[Path], Path]] = {
    "llama": tiny_models.tiny_llama,
    "qwen2_vl": tiny_models.tiny_qwen2_vl,
    "llava": tiny_models.tiny_llava,
    "qwen2_audio": tiny_models.tiny_qwen2_audio,
    "omni": tiny_models.tiny_omni,
}
FAMILIES = tuple(MAKERS)
TAKES: dict[str, tuple[Modality, ...]] = {
    "llama": (),
    "qwen2_vl": ("image", "video"),
    "llava": ("image",),
    "qwen2_audio": ("audio",),
    "omni": ("image", "audio", "video"),
}
ANSWERS = ("A red circle", "A red circle and a blue square, no sound", "no", "yes: the image is blue")


@dataclasses.dataclass(frozen=True)
class Media:
    """Files of different widths, lengths and numbers of frames."""

    image: tuple[File, ...]
    audio: tuple[File, ...]
    video: tuple[File, ...]

    def of(self, kind: str, number: int) -> File:
        files: tuple[File, ...] = getattr(self, kind)
        return files[number % len(files)]


def media(folder: Path) -> Media:
    folder.mkdir(exist_ok=True)
    return Media(
        image=tuple(_image(folder, n, size) for n, size in enumerate(((64, 64), (120, 40), (40, 150)))),
        audio=tuple(_audio(folder, n, seconds) for n, seconds in enumerate((0.3, 1.1, 0.7))),
        video=tuple(_video(folder, n, *form) for n, form in enumerate(((4, 48, 96), (8, 64, 64)))),
    )


def _write(path: Path, content: bytes, modality: Modality) -> File:
    path.write_bytes(content)
    return File(str(path), modality)


def _noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def _image(folder: Path, number: int, size: tuple[int, int]) -> File:
    picture = Image.fromarray(_noise(number, *size[::-1], 3))
    return _write(folder / f"{number}.png", write_png(picture), "image")


def _audio(folder: Path, number: int, seconds: float) -> File:
    times = np.arange(int(16000 * seconds)) / 16000
    tone = (0.4 * np.sin(2 * np.pi * (300 + 200 * number) * times)).astype(np.float32)
    return _write(folder / f"{number}.wav", write_wav(tone, 16000), "audio")


def _video(folder: Path, number: int, frames: int, height: int, width: int) -> File:
    pictures = [_noise(10 * number + step, height, width, 3) for step in range(frames)]
    return _write(folder / f"{number}.mp4", write_mp4(pictures, 4), "video")


def policy(folder: Path, *, lora: Lora | None = None, reference: bool = True, **encoder: Any) -> Policy:
    """The checkpoint in `folder` as a policy on the CPU, in float32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return open_policy(
            str(folder),
            {"max_length": 3000, **encoder},
            device="cpu",
            dtype="float32",
            lora=lora,
            reference=reference,
        )


def turn(*parts: str | File) -> tuple[Message, ...]:
    """A prompt of one turn."""
    return (Message("user", tuple(Text(p) if isinstance(p, str) else p for p in parts)),)


def prompts(family: str, files: Media) -> list[tuple[Message, ...]]:
    """Prompts with all media that the family takes, with none, with one, with several of a kind."""
    kinds = TAKES[family]
    every = [files.of(kind, 0) for kind in kinds]
    several = [files.of(kind, n) for kind in kinds for n in (1, 2)][:3]
    system = Message("system", (Text("Be brief."),))
    return [
        turn(*every, "What is it?"),
        turn("Say yes or no: is the sound red and the image blue?"),
        turn(*every[:1], "yes?"),
        (system, *turn("Look:", *several, "what is the same?")),
        turn(*[files.of(kind, 1) for kind in kinds][-1:], "What is it? " * 4),
    ]


def rows(policy: Policy, family: str, files: Media) -> list[Encoded]:
    """`prompts`, answered."""
    return [
        policy.encoder.conversation(messages, (Text(ANSWERS[n % len(ANSWERS)]),), f"r{n}")
        for n, messages in enumerate(prompts(family, files))
    ]


def batch_of(policy: Policy, encoded: Sequence[Encoded], side: Side = "right") -> Batch:
    return collate(encoded, policy.pad, side).to("cpu", torch.float32)


def pairs(count: int = 3, files: Media | None = None, kind: Modality = "image") -> list[Pair]:
    """Pairs of answers of different lengths; with `files`, the prompt has a medium in all but the second."""
    found = []
    for n in range(count):
        held = () if files is None or n == 1 else (files.of(kind, n),)
        found.append(
            Pair(
                id=f"p{n}",
                messages=turn(*held, "What is it? " * (n + 1)),
                chosen=(Text(ANSWERS[n % 4]),),
                rejected=(Text(ANSWERS[(n + 1) % 4]),),
            )
        )
    return found
