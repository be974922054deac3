"""A loaded ImageReward model: rewards of pairs of a prompt and an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from eval_anything.judges.image_reward import config as configs
from eval_anything.judges.image_reward import tokenizer as tokenizers
from eval_anything.judges.image_reward.load import load_model
from eval_anything.judges.image_reward.model import ImageReward
from eval_anything.judges.image_reward.tokenizer import Tokenizer
from eval_anything.judges.images.pixels import centre
from eval_anything.judges.images.scorer import ImageScorer, normalised
from eval_anything.models.hf import load


class ImageRewardScorer(ImageScorer):
    """Rewards around 0, with a deviation of 1 over the data of the authors; better images have more."""

    def __init__(self, model: ImageReward, tokenizer: Tokenizer, side: int, device: str) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._side = side
        self._device = device
        self._dtype = model.visual_encoder.post_layernorm.weight.dtype

    @classmethod
    def load(
        cls, weights: Path, device: str = "cpu", dtype: str = "float32", tokenizer: str = ""
    ) -> "ImageRewardScorer":
        """`weights`: the file, `ImageReward.pt` or `.safetensors`; its configuration lies beside it.

        `tokenizer`: as the judge's option has it. Raises UsageError for a checkpoint that is not whole, or
        not one of an ImageReward model.
        """
        load.libraries()
        config = configs.read(weights.parent)
        words = Tokenizer(tokenizers.find(tokenizer, weights.parent), config.vocab_size)
        return cls(load_model(weights, config, device, dtype), words, config.vision.side, device)

    def pixels(self, image: PIL.Image.Image) -> np.ndarray:
        """(side, side, 3) uint8: the short side resized, the middle cut out."""
        return centre(image, self._side)

    def run(self, prompts: Sequence[str], pixels: Sequence[np.ndarray]) -> list[float]:
        with torch.inference_mode():
            words = self._tokenizer(prompts).to(self._device)
            images = normalised(pixels, self._device).to(self._dtype)
            rewards: list[float] = self._model(images, words.input_ids, words.attention_mask).tolist()
        return rewards
