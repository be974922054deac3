"""Chameleon: the codes of images are words of its vocabulary."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers
from torch import Tensor

from eval_anything.models.hf import load
from eval_anything.models.hf.load import Opened
from eval_anything.values import Modality
from eval_anything_train.discrete.coder import ImageCoder
from eval_anything_train.discrete.encoder import ImageEncoder
from eval_anything_train.discrete.network import Speaker
from eval_anything_train.family import Family

TEMPLATE = Path(__file__).with_name("chameleon.jinja")
"""For checkpoints without a chat template: turns with the separator between them; the processor puts one
behind the last."""


# The name is the parent's: checkpoints say with which class they are loaded.
class ChameleonForConditionalGeneration(Speaker, transformers.ChameleonForConditionalGeneration):
    """Words are foretold among words, as transformers generates them; codes among codes, as
    Meta's own generator does."""

    @functools.cached_property
    def code_ids(self) -> Tensor:
        """(codes,) int64, rising, on the CPU: the ids of image tokens in the vocabulary."""
        return torch.tensor(self.model.vocabulary_mapping.image_tokens)

    def is_code(self, ids: Tensor) -> Tensor:
        known = self.code_ids.to(ids.device)
        return known[self.code_of(ids).clamp(max=len(known) - 1)] == ids

    def code_of(self, ids: Tensor) -> Tensor:
        """Places among the image tokens: not the numbers that the VQ model gives them."""
        return torch.searchsorted(self.code_ids.to(ids.device), ids.contiguous())

    def id_of(self, codes: Tensor) -> Tensor:
        return self.code_ids.to(codes.device)[codes]

    def about_codes(self, states: Tensor) -> Tensor:
        # Not called as a module, whose hooks would choose places once more.
        logits: Tensor = self.lm_head.forward(states)
        return logits.index_select(-1, self.code_ids.to(states.device))

    @functools.wraps(transformers.ChameleonForConditionalGeneration.forward)
    def forward(self, *, codes_at: Tensor | None = None, **inputs: Any) -> Any:
        """As the parent's, but for `codes_at`: see `TwoVocabularies`."""
        return self.foretold(codes_at, **inputs)


class Chameleon(Family):
    """Chameleon as transformers has it: without the VQ model's decoder, so that answers can be trained and
    scored as tokens, and text generated, but no image."""

    makes: ClassVar[tuple[Modality, ...]] = ("text", "image")

    def open(self, folder: Path) -> Opened:
        opened = super().open(folder)
        return opened if opened.capabilities.chat else load.open_checkpoint(folder, TEMPLATE)

    def load(self, opened: Opened, device: str, dtype: str) -> Any:
        network = load.load_weights(opened, device, dtype, None, kind=ChameleonForConditionalGeneration)
        network.model.vqmodel.requires_grad_(False)
        return network

    def encoder(self, opened: Opened, network: Any, **options: Any) -> ImageEncoder:
        inner, processor = network.model, opened.processor
        tokens = inner.vocabulary_mapping.img2bpe_mapping_tensor
        coder = ImageCoder(inner.vqmodel, processor.image_processor, tokens, processor.image_seq_length)
        return ImageEncoder(opened, coder, **options)
