"""Janus: images are understood by one encoder and generated as codes of another, with a head of their own."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import torch
import transformers
from torch import Tensor
from torch.nn.functional import normalize

from eval_anything.models.hf import load
from eval_anything.models.hf.load import Opened
from eval_anything.values import Modality
from eval_anything_train.discrete.coder import ImageCoder
from eval_anything_train.discrete.encoder import ImageEncoder
from eval_anything_train.discrete.network import Speaker
from eval_anything_train.family import Family


# The name is the parent's: checkpoints say with which class they are loaded.
class JanusForConditionalGeneration(Speaker, transformers.JanusForConditionalGeneration):
    """Ids from the vocabulary's size on are codes of images that it has generated."""

    @property
    def first_code(self) -> int:
        size: int = self.config.text_config.vocab_size
        return size

    def is_code(self, ids: Tensor) -> Tensor:
        return ids >= self.first_code

    def code_of(self, ids: Tensor) -> Tensor:
        return ids - self.first_code

    def id_of(self, codes: Tensor) -> Tensor:
        return codes + self.first_code

    def about_codes(self, states: Tensor) -> Tensor:
        logits: Tensor = self.model.generation_head(states)
        return logits

    @functools.wraps(transformers.JanusForConditionalGeneration.forward)
    def forward(
        self, input_ids: Tensor | None = None, *, codes_at: Tensor | None = None, **inputs: Any
    ) -> Any:
        """As the parent's, but for ids that are codes, and `codes_at`: see `TwoVocabularies`."""
        if input_ids is not None and bool((codes := self.is_code(input_ids)).any()):
            inputs["inputs_embeds"] = self._embedded(input_ids, codes, inputs.pop("pixel_values", None))
            input_ids = None
        return self.foretold(codes_at, input_ids=input_ids, **inputs)

    def _embedded(self, ids: Tensor, codes: Tensor, pixels: Tensor | None) -> Tensor:
        """(B, L, width): words, codes, and what the prompts' images look like."""
        embedded: Tensor = self.get_input_embeddings()(ids.masked_fill(codes, 0))
        made = self.prepare_embeddings_for_image_generation(self.code_of(ids[codes]))
        embedded = embedded.masked_scatter(codes[..., None], made.to(embedded.dtype))
        if pixels is None:
            return embedded
        seen = self.model.get_image_features(pixels, return_dict=True).pooler_output.to(embedded.dtype)
        return embedded.masked_scatter((ids == self.config.image_token_id)[..., None], seen)


class JanusCoder(ImageCoder):
    """Janus's VQ encoder."""

    def nearest(self, states: Tensor, quantizer: Any) -> Tensor:
        """By angle, as the VQ model was trained and as its decoder reads codes: transformers compares vectors
        of any length there, and gives other codes."""
        flat = normalize(states.permute(0, 2, 3, 1).flatten(0, 2), dim=-1)
        found: Tensor = (flat @ normalize(quantizer.embedding.weight, dim=-1).T).argmax(dim=-1)
        return found


class JanusEncoder(ImageEncoder):
    """Prompts for images are those of `generate(generation_mode="image")`, without guidance: the processor
    leaves its default system prompt out of them."""

    on_request: ClassVar[bool] = True

    def processing(self, opening: Modality) -> dict[str, Any]:
        return {"generation_mode": opening}


class Janus(Family):
    """Janus and Janus-Pro as transformers has them."""

    makes: ClassVar[tuple[Modality, ...]] = ("text", "image")
    decodes: ClassVar[bool] = True

    def load(self, opened: Opened, device: str, dtype: str) -> Any:
        network = load.load_weights(opened, device, dtype, None, kind=JanusForConditionalGeneration)
        network.model.vqmodel.requires_grad_(False)
        return network

    def encoder(self, opened: Opened, network: Any, **options: Any) -> ImageEncoder:
        vq, processor = network.model.vqmodel, opened.processor
        tokens = torch.arange(vq.quantize.num_embeddings) + network.first_code
        coder = JanusCoder(vq, processor.image_processor, tokens, processor.num_image_tokens)
        return JanusEncoder(opened, coder, **options)
