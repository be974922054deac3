"""`image_reward`: how well an image does what its prompt asks, as people would say, by ImageReward."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval_anything.judges.checkpoints import OneFile
from eval_anything.judges.image_reward import tokenizer as tokenizers
from eval_anything.judges.images.judge import ImageJudge, ImageOptions
from eval_anything.values import Modality

if TYPE_CHECKING:
    from eval_anything.judges.image_reward.scorer import ImageRewardScorer


class ImageRewardOptions(ImageOptions, frozen=True, kw_only=True):
    model: str = "THUDM/ImageReward"
    """The reward model: the file of its weights, the folder of its checkpoint, or a hub id."""
    tokenizer: str = ""
    """BERT's vocabulary: vocab.txt, its folder, or a hub id. Empty: the vocab.txt beside the weights, or else
    google-bert/bert-base-uncased, which the published model uses."""


class ImageRewardJudge(ImageJudge):
    """The mean ImageReward of the answer's images: about -2.3 to 2, 0 for a middling image."""

    name = "image_reward"
    summary = "human preference for an image given its prompt, by ImageReward (about -2.3 to 2)"
    Options = ImageRewardOptions
    transport_options = (*ImageJudge.transport_options, "tokenizer")  # its hash is in the identity
    packages = ("transformers",)

    options: ImageRewardOptions

    def checkpoint(self) -> OneFile:
        return OneFile(
            judge=self.name,
            model=self.options.model,
            revision=self.options.revision,
            stem="ImageReward",
            config="med_config.json",
            licence="Apache-2.0",
        )

    def check(self, outputs: tuple[Modality, ...]) -> None:
        super().check(outputs)
        self._vocabulary()

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "vocabulary": tokenizers.identity(self._vocabulary())}

    def build(self, weights: Path, device: str) -> "ImageRewardScorer":
        from eval_anything.judges.image_reward.scorer import ImageRewardScorer

        return ImageRewardScorer.load(weights, device, self.options.dtype, str(self._vocabulary()))

    def _vocabulary(self) -> Path:
        return tokenizers.find(self.options.tokenizer, self.checkpoint().folder())
