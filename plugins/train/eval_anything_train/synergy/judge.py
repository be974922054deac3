"""The judge in training: loaded from its folder, written into another."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eval_anything.judges.synergy import config as configs
from eval_anything.judges.synergy import load as loading
from eval_anything.judges.synergy.pairs import PAIRS, Pair
from eval_anything.judges.synergy.prompt import Medium, Prompter
from eval_anything.synth.scene import Scene
from eval_anything_train.synergy import carrier
from eval_anything_train.synergy.preferences import Answer

PAIR_OF = {pair.name: pair for pair in PAIRS}


@dataclasses.dataclass(frozen=True)
class Shown:
    """One answer as the judge reads it."""

    ids: list[int]
    words: int
    """Tokens of its text, at the end of `ids`."""
    media: list[tuple[Medium, Scene]]


def padded(rows: Sequence[Shown], pad: int) -> tuple[dict[str, Tensor], Tensor]:
    """Token ids and attention mask, and which tokens are of the answers' texts; each (B, L)."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    said = torch.zeros((len(rows), longest), dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        mask[i, : len(row.ids)] = 1
        said[i, len(row.ids) - row.words : len(row.ids)] = True
    return {"input_ids": ids, "attention_mask": mask}, said


class Judge:
    """What a method of this package is given in place of a policy."""

    frozen = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = configs.read(folder)
        self.model: Any = loading.load_model(folder, config, "cpu", "float32").float()
        self.model.requires_grad_(True).train()
        self._tokenizer = loading.load_tokenizer(folder, config)
        self.prompter = Prompter(self._tokenizer, config)
        self.pad = config.pad_token_id

    def shown(self, prompt: str, answer: Answer, pair: Pair) -> Shown:
        """An answer, as far as this pair of modalities goes."""
        text = answer.text if "text" in pair.modalities else ""
        ids = self.prompter.ids(prompt, pair.media, text)
        scenes: dict[Medium, Scene] = {"image": answer.shown, "audio": answer.sounding}
        before = len(self.prompter.ids(prompt, pair.media, ""))
        return Shown(ids, len(ids) - before, [(medium, scenes[medium]) for medium in pair.media])

    def tokens_at(self, text: str, ends: Sequence[int]) -> list[int]:
        """Of each end of a word, in characters: which token of `text` it lies in."""
        held = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )["offset_mapping"]
        return [next(i for i, (_, last) in enumerate(held) if last >= end) for end in ends]

    def save(self, folder: Path, dtype: str = "float32") -> None:
        """The whole judge, so that the harness's `synergy` judge loads it."""
        for path in self.folder.iterdir():
            if path.suffix == ".json":
                shutil.copyfile(path, folder / path.name)
        carrier.save(self.model, folder, dtype)
