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

    @torch.inference_mode()
    def run(self, answers: Sequence[Answer]) -> list[Scored]:
        """One mapping for each answer."""
        encoded: dict[Medium, dict[int, Tensor]] = {
            medium: self._encoded(medium, answers) for medium in ("image", "audio")
        }
        results: list[Scored] = [{} for _ in answers]
        places: list[tuple[int, Pair]] = []
        sequences: list[list[int]] = []
        media: list[Tensor] = []
        for i, answer in enumerate(answers):
            for pair in PAIRS:
                if not answer.holds(pair):
                    continue
                text = (answer.text or "") if "text" in pair.modalities else ""
                ids = self._prompter.ids(answer.prompt, pair.media, text)
                if len(ids) > self._longest:
                    results[i][pair.name] = f"{len(ids)} tokens, the judge reads {self._longest}"
                    continue
                places.append((i, pair))
                sequences.append(ids)
                media += [encoded[medium][i] for medium in pair.media]
        for (i, pair), score in zip(places, self._scores(sequences, media), strict=True):
            results[i][pair.name] = score
        return results

    def _encoded(self, medium: Medium, answers: Sequence[Answer]) -> dict[int, Tensor]:
        held = {i: getattr(a, medium) for i, a in enumerate(answers) if getattr(a, medium) is not None}
        if not held:
            return {}
        weight = self._model.score_head.weight
        inputs = torch.from_numpy(np.stack(list(held.values()))).to(weight.device, weight.dtype)
        encode = self._model.image_tokens if medium == "image" else self._model.audio_tokens
        return dict(zip(held, encode(inputs), strict=True))

    def _scores(self, sequences: list[list[int]], media: list[Tensor]) -> list[PairScore | str]:
        if not sequences:
            return []
        device = self._model.score_head.weight.device
        shape = (len(sequences), max(map(len, sequences)))
        ids = torch.full(shape, self._model.config.pad_token_id, dtype=torch.long)
        mask = torch.zeros(shape, dtype=torch.long)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = 1
        found = self._model(ids.to(device), mask.to(device), torch.stack(media))
        pairs = zip(found.end_scores.tolist(), found.mean_scores.tolist(), strict=True)
        return [
            PairScore(end, mean)
            if np.isfinite([end, mean]).all()
            else "the reward model's score is no number"
            for end, mean in pairs
        ]
