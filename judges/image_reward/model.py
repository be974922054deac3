"""ImageReward: BLIP's encoders of images and of text that looks at them, and a head that makes a number.

Xu et al., ImageReward: Learning and Evaluating Human Preferences for Text-to-Image Generation,
arXiv 2304.05977. The encoders are those of transformers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eval_anything.judges.image_reward.config import RewardConfig

MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""Of the raw scores over the authors' data; published in their code, not in the checkpoint."""
_EPS = 1e-6
_HEAD = (1024, 128, 64, 16, 1)


class ImageReward(nn.Module):
    """Needs `load.libraries()` first, as does everything that imports transformers."""

    def __init__(self, config: RewardConfig) -> None:
        from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

        super().__init__()
        vision = BlipVisionConfig(
            hidden_size=config.vision.width,
            intermediate_size=4 * config.vision.width,
            num_hidden_layers=config.vision.depth,
            num_attention_heads=config.vision.heads,
            image_size=config.vision.side,
            patch_size=config.vision.patch,
            layer_norm_eps=_EPS,
        )
        text = BlipTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            encoder_hidden_size=config.vision.width,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            max_position_embeddings=config.max_position_embeddings,
            layer_norm_eps=config.layer_norm_eps,
            pad_token_id=config.pad_token_id,
            bos_token_id=None,
            sep_token_id=None,
            is_decoder=True,  # what gives a layer its cross attention; nothing is generated
        )
        self.visual_encoder = BlipVisionModel(vision)
        self.text_encoder = BlipTextModel(text, add_pooling_layer=False)
        self.mlp = Head(config.hidden_size)

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Pixels (n, 3, side, side), token ids and their mask (n, length) to rewards (n,), float32."""
        image = self.visual_encoder(pixel_values=pixels).last_hidden_state
        text = self.text_encoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=image)
        raw: Tensor = self.mlp(text.last_hidden_state[:, 0].float())
        return (raw.squeeze(1) - MEAN) / STD

    def restore_positions(self, device: str) -> None:
        """Count the positions of the text anew: they are no weights, so no checkpoint fills them."""
        embeddings = self.text_encoder.embeddings
        embeddings.position_ids = torch.arange(embeddings.position_ids.shape[1], device=device)[None]


class Head(nn.Module):
    """Five linear layers with nothing but dropout between them, which is off when it judges."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second, third, fourth, last = _HEAD
        self.layers = nn.Sequential(
            nn.Linear(width, first),
            nn.Dropout(0.2),
            nn.Linear(first, second),
            nn.Dropout(0.2),
            nn.Linear(second, third),
            nn.Dropout(0.1),
            nn.Linear(third, fourth),
            nn.Linear(fourth, last),
        )

    def forward(self, features: Tensor) -> Tensor:
        raw: Tensor = self.layers(features)
        return raw
