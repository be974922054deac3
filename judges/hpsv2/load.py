"""From `HPS_v2_compressed.pt` to a model that scores: every tensor accounted for, no open pickle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch

from eval_anything.judges import weights
from eval_anything.judges.hpsv2.config import CLIPConfig

if TYPE_CHECKING:
    from open_clip import CLIP

_INNER = "state_dict"


def load_model(file: Path, config: CLIPConfig, device: str, dtype: str) -> "CLIP":
    """The model with all of its weights, ready to score; needs `load.libraries()` first.

    Raises UsageError that names what is missing, unknown or of another shape.
    """
    import open_clip

    def build() -> "CLIP":
        return open_clip.CLIP(**msgspec.to_builtins(config))

    with weights.opened([file], inner=_INNER) as held:
        weights.check(file, "an HPSv2 model", held, weights.shapes(build))
        model = weights.filled(build, held, device, dtype)
    # Computed, not stored: no word of a prompt looks at those after it.
    length = config.text_cfg.context_length
    model.attn_mask = torch.full((length, length), float("-inf"), device=device).triu(1)
    return model
