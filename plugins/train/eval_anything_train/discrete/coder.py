"""Pictures as the codes of a VQ encoder."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eval_anything.errors import UsageError
from eval_anything.media.convert import load_image
from eval_anything_train.place import division, process_device


class ImageCoder:
    """The encoder of a checkpoint's VQ model, in float32. It is never trained, so that a code means the same
    throughout. May be used by several threads at once."""

    def __init__(self, vqmodel: Any, image_processor: Any, tokens: Tensor, count: int) -> None:
        """`tokens`, (codes,): the token id of each code. `count`: of tokens of an image, as the model
        generates it. What is needed of `vqmodel` is copied: it may be divided among processes in training."""
        parts = (vqmodel.encoder, vqmodel.quant_conv, vqmodel.quantize)
        # Weights that will be divided have been loaded into main memory, where convolutions are slow.
        device = process_device("auto") if division() else next(vqmodel.parameters()).device
        self._encoder, self._projection, self._quantizer = (
            copy.deepcopy(part).to(device, torch.float32).eval().requires_grad_(False) for part in parts
        )
        self._device = device
        self._image_processor = image_processor
        self._tokens = tokens.long().cpu()
        self.count = count
        self._one_at_a_time = threading.Lock()

    def tokens(self, path: Path) -> list[int]:
        """Of the image in the file `path`, line by line from the top left.

        Raises MediaError for a file that is none; UsageError for a checkpoint that does not fit together.
        """
        pixels = self._image_processor(images=[load_image(path)], return_tensors="pt")["pixel_values"]
        # Two threads on one device gain no time, and need twice the memory.
        with self._one_at_a_time, torch.no_grad():
            states = self._projection(self._encoder(pixels.to(self._device, torch.float32)))
            codes = self.nearest(states, self._quantizer).flatten().cpu()
        if len(codes) != self.count:
            raise UsageError(
                f"the checkpoint's VQ model makes {len(codes)} tokens of an image of {pixels.shape[-1]} x"
                f" {pixels.shape[-2]} pixels, and its processor says {self.count}"
            )
        found: list[int] = self._tokens[codes].tolist()
        return found

    def nearest(self, states: Tensor, quantizer: Any) -> Tensor:
        """The codes whose vectors are nearest to `states`, (1, width, height, width of the grid)."""
        codes: Tensor = quantizer(states)[2]
        return codes
