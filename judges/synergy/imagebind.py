"""ImageBind's encoders of images and of sounds, in plain torch.

Written from the published description and from the names and shapes of the public checkpoint
(facebookresearch/ImageBind, `imagebind_huge.pth`); the names here are those of that file, so that its tensors
load strictly. Only vision and audio are built: the checkpoint's four other modalities are not needed.
Girdhar et al., ImageBind: One Embedding Space To Bind Them All, arXiv 2305.05665.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from eval_anything.judges.synergy.config import ImageBindSize, TrunkSize
from eval_anything.judges.synergy.fbank import MEL_BINS
from eval_anything.judges.synergy.preprocess import MEL_FRAMES, SIDE

_PATCH, _FRAMES_PER_PATCH = 14, 2
_AUDIO_KERNEL, _AUDIO_STRIDE = 16, 10
_EPS = 1e-6
_AUDIO_SCALE, _MAX_SCALE = 20.0, 100.0


class ImageBind(nn.Module):
    """Two towers into one space of `features` dimensions.

    Images get unit length; sounds the mean over their clips of unit vectors times a stored scale (20 in the
    published checkpoint), as the original returns them.
    """

    def __init__(self, size: ImageBindSize, features: int) -> None:
        super().__init__()
        vision, audio = size.vision, size.audio
        patches = (SIDE // _PATCH) ** 2
        windows = _windows(MEL_BINS) * _windows(MEL_FRAMES)
        self.modality_preprocessors = nn.ModuleDict(
            {
                "vision": _Patches(_vision_stem(vision.width), patches, vision.width),
                "audio": _Patches(_audio_stem(audio.width), windows, audio.width),
            }
        )
        self.modality_trunks = nn.ModuleDict(
            {
                "vision": _Trunk(vision, norm_first=True, bias_kv=False),
                "audio": _Trunk(audio, norm_first=False, bias_kv=True),
            }
        )
        self.modality_heads = nn.ModuleDict(
            {"vision": _head(vision.width, features), "audio": _head(audio.width, features)}
        )
        self.modality_postprocessors = nn.ModuleDict(
            {"vision": _UnitLength(), "audio": nn.Sequential(_UnitLength(), _Scale())}
        )

    def images(self, pixels: Tensor) -> Tensor:
        """(n, 3, 224, 224) normalised pixels to (n, features)."""
        return self._encode("vision", pixels)

    def audio(self, clips: Tensor) -> Tensor:
        """(n, clips, 1, 128, 204) normalised log mel spectrograms to (n, features)."""
        count, each = clips.shape[:2]
        return self._encode("audio", clips.flatten(0, 1)).unflatten(0, (count, each)).mean(dim=1)

    def _encode(self, modality: str, inputs: Tensor) -> Tensor:
        tokens = self.modality_preprocessors[modality](inputs)
        tokens = self.modality_trunks[modality](tokens)
        encoded: Tensor = self.modality_postprocessors[modality](self.modality_heads[modality](tokens))
        return encoded


def _windows(length: int) -> int:
    return (length - _AUDIO_KERNEL) // _AUDIO_STRIDE + 1


def _vision_stem(width: int) -> nn.Module:
    kernel = (_FRAMES_PER_PATCH, _PATCH, _PATCH)
    # An image is a video that stands still; the public checkpoint has the convolution at index 1.
    return _Stem(nn.Sequential(_StandStill(), nn.Conv3d(3, width, kernel, stride=kernel, bias=False)), None)


def _audio_stem(width: int) -> nn.Module:
    convolution = nn.Conv2d(1, width, _AUDIO_KERNEL, stride=_AUDIO_STRIDE, bias=False)
    return _Stem(convolution, nn.LayerNorm(width))


class _StandStill(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.unsqueeze(2).expand(-1, -1, _FRAMES_PER_PATCH, -1, -1)


class _Stem(nn.Module):
    """Patches to vectors: (n, channels, ...) to (n, patches, width)."""

    def __init__(self, proj: nn.Module, norm_layer: nn.Module | None) -> None:
        super().__init__()
        self.proj = proj
        self.norm_layer = norm_layer

    def forward(self, inputs: Tensor) -> Tensor:
        tokens: Tensor = self.proj(inputs).flatten(2).transpose(1, 2)
        return tokens if self.norm_layer is None else self.norm_layer(tokens)


class _Positions(nn.Module):
    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, count, width))


class _Patches(nn.Module):
    """A class token and the patches, with learned positions."""

    def __init__(self, stem: nn.Module, patches: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.rgbt_stem = stem
        self.pos_embedding_helper = _Positions(patches + 1, width)

    def forward(self, inputs: Tensor) -> Tensor:
        patches = self.rgbt_stem(inputs)
        start = self.cls_token.expand(len(patches), -1, -1)
        tokens: Tensor = torch.cat([start, patches], dim=1) + self.pos_embedding_helper.pos_embed
        return tokens


class _Trunk(nn.Module):
    """A pre-norm transformer. Drop path, which the audio trunk was trained with, is off when it judges."""

    def __init__(self, size: TrunkSize, *, norm_first: bool, bias_kv: bool) -> None:
        super().__init__()
        first = nn.LayerNorm(size.width, eps=_EPS) if norm_first else nn.Identity()
        self.pre_transformer_layer = nn.Sequential(first)
        self.blocks = nn.Sequential(*(_Block(size.width, size.heads, bias_kv) for _ in range(size.depth)))

    def forward(self, tokens: Tensor) -> Tensor:
        encoded: Tensor = self.blocks(self.pre_transformer_layer(tokens))
        return encoded


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, bias_kv: bool) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, add_bias_kv=bias_kv, batch_first=True)
        self.norm_1 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = _MLP(width)
        self.norm_2 = nn.LayerNorm(width, eps=_EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm_1(tokens)
        tokens = tokens + self.attn(normed, normed, normed, need_weights=False)[0]
        return tokens + self.mlp(self.norm_2(tokens))


class _MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.fc2(nn.functional.gelu(self.fc1(tokens)))
        return output


class _ClassToken(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]


def _head(width: int, features: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width, eps=_EPS), _ClassToken(), nn.Linear(width, features, bias=False))


class _UnitLength(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(features, dim=-1)


class _Scale(nn.Module):
    """A factor stored as its logarithm, at most 100."""

    log_logit_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("log_logit_scale", torch.tensor(math.log(_AUDIO_SCALE)))

    def forward(self, features: Tensor) -> Tensor:
        return self.log_logit_scale.exp().clip(max=_MAX_SCALE) * features
