"""`hpsv2`: how well an image pleases people who know its prompt, by the Human Preference Score v2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eval_anything.judges.checkpoints import OneFile
from eval_anything.judges.images.judge import ImageJudge, ImageOptions

if TYPE_CHECKING:
    from eval_anything.judges.hpsv2.scorer import HPSv2Scorer

_STEMS = {"v2.0": "HPS_v2_compressed", "v2.1": "HPS_v2.1_compressed"}


class HPSv2Options(ImageOptions, frozen=True, kw_only=True):
    model: str = "xswu/HPSv2"
    """The reward model: the file of its weights, the folder of its checkpoint, or a hub id."""
    version: Literal["v2.0", "v2.1"] = "v2.0"
    """Which of the two published checkpoints; not looked at where `model` is a file."""
    antialias: bool = True
    """How images are made smaller; false: as torchvision did it before 0.17, which is probably how the
    published averages were made."""


class HPSv2Judge(ImageJudge):
    """The mean Human Preference Score of the answer's images, times 100: 20 to 30 for most images."""

    name = "hpsv2"
    summary = "human preference for an image given its prompt, by HPSv2 (cosine times 100, 20 to 30)"
    Options = HPSv2Options
    packages = ("transformers", "torchvision", "open_clip")

    options: HPSv2Options

    def checkpoint(self) -> OneFile:
        return OneFile(
            judge=self.name,
            model=self.options.model,
            revision=self.options.revision,
            stem=_STEMS[self.options.version],
            config="open_clip_config.json",
            licence="Apache-2.0",
        )

    def build(self, weights: Path, device: str) -> "HPSv2Scorer":
        from eval_anything.judges.hpsv2.scorer import HPSv2Scorer

        return HPSv2Scorer.load(weights, device, self.options.dtype, self.options.antialias)
