"""How checkpoints of an architecture are opened, loaded and read: most are alike, those that answer with
images are not."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from eval_anything.models.hf import checkpoint, load
from eval_anything.models.hf.load import Opened
from eval_anything.values import Modality

if TYPE_CHECKING:
    from eval_anything_train.encode import Encoder

_FAMILIES = {"janus": "discrete.janus:Janus", "chameleon": "discrete.chameleon:Chameleon"}
"""module:class of each that has one of its own, by model_type."""


class Family:
    """Checkpoints that answer in text, whatever their prompts hold."""

    makes: ClassVar[tuple[Modality, ...]] = ("text",)
    """What answers may hold."""
    decodes: ClassVar[bool] = False
    """Whether the tokens of an answer's image become an image again."""

    def open(self, folder: Path) -> Opened:
        """Configuration and processor. Raises UsageError where they cannot be read."""
        return load.open_checkpoint(folder, None)

    def load(self, opened: Opened, device: str, dtype: str) -> Any:
        """The network. Raises UsageError for weights that are missing, damaged, or another model's."""
        return load.load_weights(opened, device, dtype, None)

    def encoder(self, opened: Opened, network: Any, **options: Any) -> Encoder:
        """What reads conversations for `network`; `options` are those of `Encoder`."""
        from eval_anything_train.encode import Encoder

        return Encoder(opened, **options)


def family_of(folder: Path) -> Family:
    """That of the checkpoint in `folder`. Raises UsageError where there is no configuration."""
    name = checkpoint.read_config(folder).get("model_type")
    if name not in _FAMILIES:
        return Family()
    module, _, kind = _FAMILIES[name].partition(":")
    found: type[Family] = getattr(importlib.import_module(f"eval_anything_train.{module}"), kind)
    return found()
