"""Many answers at once: each medium is encoded once, each pair of modalities is one sequence."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eval_anything.judges.synergy import config as configs
from eval_anything.judges.synergy import load as loading
from eval_anything.judges.synergy.answer import Answer
from eval_anything.judges.synergy.model import AnyRewardModel
from eval_anything.judges.synergy.pairs import PAIRS, Pair
from eval_anything.judges.synergy.prompt import Medium, Prompter
from eval_anything.models.hf import load


@dataclasses.dataclass(frozen=True)
class PairScore:
    """Unbounded scores of one pair."""

    end: float
    mean: float


Scored = dict[str, PairScore | str]
"""By the pair's name: its scores, or why there are none. Pairs that the answer does not hold are left out."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Sequence:
    """One pair of one answer, ready to be batched."""

    answer: int
    pair: Pair
    ids: list[int]
    media: list[Tensor]
    """In the order of their tokens in `ids`."""


class Scorer:
    """A loaded checkpoint. Not for several threads at once."""

    def __init__(self, model: AnyRewardModel, prompter: Prompter) -> None:
        self._model = model
        self._prompter = prompter
        self._longest: int = model.language_model.config.max_position_embeddings

    @classmethod
    def load(cls, folder: Path, device: str, dtype: str) -> "Scorer":
        """Raises UsageError for a checkpoint that is not whole, or not one of an AnyRewardModel."""
        load.libraries()
        config = configs.read(folder)
        tokenizer = loading.load_tokenizer(folder, config)
        prompter = Prompter(tokenizer, config)
        return cls(loading.load_model(folder, config, device, dtype), prompter)

    def run(self, answers: Sequence[Answer]) -> list[Scored]:
        """One mapping for each answer."""
        with torch.inference_mode():
            encoded: dict[Medium, dict[int, Tensor]] = {
                medium: self._encoded(medium, answers) for medium in ("image", "audio")
            }
            results: list[Scored] = [{} for _ in answers]
            sequences: list[_Sequence] = []
            for i, answer in enumerate(answers):
                for pair in filter(answer.holds, PAIRS):
                    ids = self._ids(answer, pair)
                    if len(ids) > self._longest:
                        results[i][pair.name] = f"{len(ids)} tokens, the judge reads {self._longest}"
                        continue
                    sequences.append(_Sequence(i, pair, ids, [encoded[m][i] for m in pair.media]))
            for sequence, score in zip(sequences, self._scores(sequences), strict=True):
                results[sequence.answer][sequence.pair.name] = score
        return results

    def _ids(self, answer: Answer, pair: Pair) -> list[int]:
        text = answer.text or ""
        return self._prompter.ids(answer.prompt, pair.media, text if "text" in pair.modalities else "")

    def _encoded(self, medium: Medium, answers: Sequence[Answer]) -> dict[int, Tensor]:
        held = {i: getattr(a, medium) for i, a in enumerate(answers) if getattr(a, medium) is not None}
        if not held:
            return {}
        weight = self._model.score_head.weight
        inputs = torch.from_numpy(np.stack(list(held.values()))).to(weight.device, weight.dtype)
        encode = self._model.image_tokens if medium == "image" else self._model.audio_tokens
        return dict(zip(held, encode(inputs), strict=True))

    def _scores(self, sequences: list[_Sequence]) -> list[PairScore | str]:
        if not sequences:
            return []
        device = self._model.score_head.weight.device
        shape = (len(sequences), max(len(sequence.ids) for sequence in sequences))
        ids = torch.full(shape, self._model.config.pad_token_id, dtype=torch.long)
        mask = torch.zeros(shape, dtype=torch.long)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence.ids)] = torch.tensor(sequence.ids)
            mask[row, : len(sequence.ids)] = 1
        media = torch.stack([token for sequence in sequences for token in sequence.media])
        found = self._model(ids.to(device), mask.to(device), media)
        pairs = zip(found.end_scores.tolist(), found.mean_scores.tolist(), strict=True)
        return [
            PairScore(end, mean)
            if np.isfinite([end, mean]).all()
            else "the reward model's score is no number"
            for end, mean in pairs
        ]
