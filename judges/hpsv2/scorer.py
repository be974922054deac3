"""A loaded HPSv2 model: how near a prompt and an image lie to each other.

Wu et al., Human Preference Score v2: A Solid Benchmark for Evaluating Human Preferences of Text-to-Image
Synthesis, arXiv 2306.09341. Architecture, tokenizer and vocabulary are those of the package open_clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

from eval_anything.judges.hpsv2 import config as configs
from eval_anything.judges.hpsv2.config import CLIPConfig
from eval_anything.judges.hpsv2.load import load_model
from eval_anything.judges.images.pixels import padded
from eval_anything.judges.images.scorer import ImageScorer, normalised
from eval_anything.models.hf import load

FACTOR = 100
"""As the published benchmark reports it; `hpsv2.score()` itself returns the cosine."""


class HPSv2Scorer(ImageScorer):
    """Cosines of a prompt and an image, times 100."""

    def __init__(self, model: Any, config: CLIPConfig, device: str, antialias: bool) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self._model = model
        self._tokenizer = SimpleTokenizer(context_length=config.text_cfg.context_length)
        self._dtype = model.logit_scale.dtype
        self._side = config.vision_cfg.image_size
        self._device = device
        self._antialias = antialias

    @classmethod
    def load(
        cls, weights: Path, device: str = "cpu", dtype: str = "float32", antialias: bool = True
    ) -> "HPSv2Scorer":
        """`weights`: the file, `HPS_v2_compressed.pt`, `HPS_v2.1_compressed.pt`, or one as `.safetensors`.

        Raises UsageError for a checkpoint that is not whole, or not one of an HPSv2 model.
        """
        load.libraries()
        config = configs.read(weights.parent)
        return cls(load_model(weights, config, device, dtype), config, device, antialias)

    def pixels(self, image: PIL.Image.Image) -> np.ndarray:
        """(side, side, 3) float32: the long side resized, black around it."""
        return padded(image, self._side, self._antialias)

    def run(self, prompts: Sequence[str], pixels: Sequence[np.ndarray]) -> list[float]:
        with torch.inference_mode():
            images = self._model.encode_image(normalised(pixels, self._device).to(self._dtype))
            # Several images of one prompt, and the prompt is read once.
            distinct = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
            texts = self._model.encode_text(self._tokens(list(distinct)))
            texts = texts[[distinct[prompt] for prompt in prompts]]
            scores: list[float] = (FACTOR * _cosine(images, texts)).tolist()
        return scores

    def _tokens(self, prompts: list[str]) -> Tensor:
        # A lone surrogate (JSON may spell one) has no UTF-8 form and makes the tokenizer fail.
        clean = [prompt.encode("utf-8", "replace").decode("utf-8") for prompt in prompts]
        tokens: Tensor = self._tokenizer(clean)
        return tokens.to(self._device)


def _cosine(images: Tensor, texts: Tensor) -> Tensor:
    """(n, features) each to (n,); in float32, as halves know only three digits."""
    return nn.functional.cosine_similarity(images.float(), texts.float(), dim=-1)
