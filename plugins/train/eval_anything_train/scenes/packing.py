"""Rows as tokens: what all lessons of a row share comes once, and each lesson goes on from there by itself.

So media and long instructions are computed once for ten questions. A lesson's tokens see what is shared and
what comes before them in their own lesson; their positions begin where the shared part ends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.scenes.media import CLIP_S, Media
from eval_anything_train.scenes.rows import Row
from eval_anything_train.scenes.settings import Course

_FRAMES = (2, 2, 2, 4, 8)
"""Frames of a clip: two, as the harness shows by default, or more."""
_ODD = 0.05
"""Share of pictures that are not square."""


@dataclasses.dataclass(frozen=True)
class Packed:
    """One row as tokens, with the media of its shared part."""

    id: str
    ids: list[int]
    shared: int
    """Tokens of the shared part."""
    branches: list[tuple[int, int, int]]
    """Of each lesson: where it begins, where its answer begins, where it ends."""
    row: Row
    pixels: Tensor | None = None
    grid: tuple[int, int, int] | None = None
    frames: int = 0
    """Of a clip; 0 for a picture."""

    def __len__(self) -> int:
        return len(self.ids)


class Packer:
    """Writes rows for one carrier. May be used by several threads."""

    def __init__(self, opened: Any, model: Any) -> None:
        self.media = Media(opened.processor)
        self.processor = opened.processor
        self.tokenizer = opened.tokenizer
        self.model = model
        self.end = opened.tokenizer.eos_token_id
        self.pad = opened.tokenizer.pad_token_id

    def pack(self, row: Row, rng: Random, course: Course, id: str = "") -> Packed:
        """One answer of each lesson is drawn. Lessons for which the course has no tokens left are left out,
        but for the first."""
        pixels, grid, frames = self._seen(row, rng)
        texts = [self._shared(row, grid)]
        for lesson in row.lessons:
            texts += [_asked(lesson.turns), lesson.answer(rng, terse=course.terse)]
        tokens: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        ids = list(tokens[0])
        branches: list[tuple[int, int, int]] = []
        for asked, answer in zip(tokens[1::2], tokens[2::2], strict=True):
            start = len(ids)
            if branches and start + len(asked) + len(answer) >= course.tokens:
                break
            ids += [*asked, *answer, self.end]
            branches.append((start, start + len(asked), len(ids)))
        return Packed(id, ids, len(tokens[0]), branches, row, pixels, grid, frames)

    def _seen(self, row: Row, rng: Random) -> tuple[Tensor | None, tuple[int, int, int] | None, int]:
        if "seen" not in row.shown:
            return None, None, 0
        if row.scene.video:
            frames = rng.choice(_FRAMES)
            return *self.media.clip(row.scene, rng, frames), frames
        odd = rng.random() < _ODD
        return *(self.media.odd_picture if odd else self.media.picture)(row.scene, rng), 0

    def _shared(self, row: Row, grid: tuple[int, int, int] | None) -> str:
        p = self.processor
        text = f"<|im_start|>system\n{row.system}<|im_end|>\n" if row.system else ""
        text += f"<|im_start|>user\n{row.lead}"
        for side in row.shown:
            if side == "seen" and grid is not None:
                token = p.video_token if row.scene.video else p.image_token
                count = grid[0] * grid[1] * grid[2] // self.media.merge**2
                text += p.vision_bos_token + token * count + p.vision_eos_token
            elif side == "heard":
                count = self.media.sound_tokens(row.scene)
                text += p.audio_bos_token + p.audio_token * count + p.audio_eos_token
        return text

    def collate(self, items: Sequence[Packed]) -> Batch:
        """A batch, with positions (3, B, L) and (B, L) which lesson each token is of: from 1; 0 is what all
        share, -1 padding."""
        longest = max(map(len, items))
        ids = torch.full((len(items), longest), self.pad)
        response = torch.zeros((len(items), longest), dtype=torch.bool)
        weight = torch.zeros((len(items), longest))
        lesson = torch.full((len(items), longest), -1, dtype=torch.int16)
        positions = torch.zeros((3, len(items), longest), dtype=torch.long)
        for i, item in enumerate(items):
            ids[i, : len(item)] = torch.tensor(item.ids)
            shared = item.shared
            lesson[i, :shared] = 0
            positions[:, i, :shared] = own = self._positions(item)
            first = int(own.max()) + 1
            for number, (start, answer, end) in enumerate(item.branches, 1):
                lesson[i, start:end] = number
                positions[:, i, start:end] = torch.arange(first, first + end - start)
                response[i, answer:end] = True
                weight[i, answer:end] = (end - answer) ** -0.5
        return Batch(
            inputs={
                "input_ids": ids,
                "attention_mask": ids != self.pad,
                "lesson": lesson,
                "position_ids": positions,
                **self._media(items),
            },
            response=response,
            ids=tuple(item.id for item in items),
            labels={"weight": weight},
        )

    def _positions(self, item: Packed) -> Tensor:
        """(3, shared): as the model itself counts them."""
        seen = None if item.grid is None else torch.tensor([item.grid])
        video = item.frames > 0
        ids = torch.tensor([item.ids[: item.shared]])
        found, _ = self.model.model.get_rope_index(
            ids,
            image_grid_thw=None if video else seen,
            video_grid_thw=seen if video else None,
            attention_mask=torch.ones_like(ids),
            audio_seqlens=torch.tensor([self.media.mel_frames(item.row.scene)]),
            second_per_grids=torch.tensor([2 * CLIP_S / item.frames]) if video else None,
        )
        return found[:, 0]

    def _media(self, items: Sequence[Packed]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for kind, video in (("image", False), ("video", True)):
            these = [item for item in items if item.pixels is not None and (item.frames > 0) == video]
            if these:
                found[f"{kind}_pixels"] = torch.cat(
                    [item.pixels for item in these if item.pixels is not None]
                )
                found[f"{kind}_grid"] = torch.tensor([item.grid for item in these])
        heard = [item.row.scene for item in items if "heard" in item.row.shown]
        if heard:
            found["mels"], found["mel_mask"] = self.media.sounds(heard)
        return found


def _asked(turns: Sequence[str]) -> str:
    """The turns of a lesson from its first question to where the answer begins."""
    text = turns[0]
    for place, turn in enumerate(turns[1:]):
        role = "user" if place % 2 else "assistant"
        text += f"<|im_end|>\n<|im_start|>{role}\n{turn}"
    return f"{text}<|im_end|>\n<|im_start|>assistant\n"
