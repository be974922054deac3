"""AnyRewardModel: a Llama that reads an answer, its image and its sound as one token each, and scores it.

Names are those of the published checkpoint without its outer `model.` prefix and without the parts that a
score does not need (the head over words, the projector for video, ImageBind's other modalities).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor, nn

from eval_anything.judges.synergy.config import RewardConfig
from eval_anything.judges.synergy.imagebind import ImageBind


@dataclasses.dataclass(frozen=True)
class RewardScores:
    """Unbounded; the published scripts squash them by a sigmoid."""

    scores: Tensor
    """(batch, length) float32: one for each token, meaningless where the mask is 0."""
    end_scores: Tensor
    """(batch,) float32: that of the last token."""
    mean_scores: Tensor
    """(batch,) float32: the mean over all tokens."""


class AnyRewardModel(nn.Module):
    """Needs `load.libraries()` first, as does everything that imports transformers."""

    def __init__(self, config: RewardConfig) -> None:
        from transformers import LlamaModel

        super().__init__()
        language = config.language()
        features = config.modality_config.hidden_size
        self.config = config
        self.modality_tower = ImageBind(config.modality_config.imagebind, features)
        self.image_projector = Projector(features, language.hidden_size)
        self.audio_projector = Projector(features, language.hidden_size)
        self.language_model = LlamaModel(language)
        self.score_head = nn.Linear(language.hidden_size, 1, bias=False)

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """(n, 3, 224, 224) to (n, hidden): what stands in for `<image>`."""
        projected: Tensor = self.image_projector(self.modality_tower.images(pixels))
        return projected

    def audio_tokens(self, clips: Tensor) -> Tensor:
        """(n, 3, 1, 128, 204) to (n, hidden): what stands in for `<audio>`."""
        projected: Tensor = self.audio_projector(self.modality_tower.audio(clips))
        return projected

    def forward(self, input_ids: Tensor, attention_mask: Tensor, media: Tensor) -> RewardScores:
        """Score sequences that are padded on the right.

        input_ids, attention_mask: (batch, length) integers; media: (n, hidden), one row for each `<image>`
        and `<audio>` in `input_ids`, in reading order, row by row.
        """
        places = (input_ids == self.config.image_token_index) | (input_ids == self.config.audio_token_index)
        if int(places.sum()) != len(media):
            raise ValueError(f"{int(places.sum())} modality tokens for {len(media)} media")
        embedded = self.language_model.embed_tokens(input_ids)
        embedded[places] = media.to(embedded.dtype)
        output: Any = self.language_model(
            inputs_embeds=embedded, attention_mask=attention_mask, use_cache=False
        )
        scores = self.score_head(output.last_hidden_state).squeeze(-1).float()
        lengths = attention_mask.sum(dim=1)
        ends = scores.gather(1, (lengths - 1)[:, None]).squeeze(1)
        means = (scores * attention_mask).sum(dim=1) / lengths
        return RewardScores(scores, ends, means)


class Projector(nn.Module):
    """From ImageBind's space to that of the language model's embeddings; each modality has its own."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(features, hidden)
        self.linear_2 = nn.Linear(hidden, hidden)

    def forward(self, features: Tensor) -> Tensor:
        projected: Tensor = self.linear_2(nn.functional.gelu(self.linear_1(features)))
        return projected
