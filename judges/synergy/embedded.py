"""`synergy-embedded`: the synergy judge of toy size that comes with the package, for synthetic data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from eval_anything.judges.synergy.judge import SynergyJudge, SynergyOptions
from eval_anything.judges.synergy.pairs import Reading
from eval_anything.shipped import shipped
from eval_anything.values import Modality

WEIGHTS = Path(__file__).parent / "weights"


class EmbeddedSynergyOptions(msgspec.Struct, frozen=True, kw_only=True):
    reading: Reading = "end"
    """Which tokens the score is read from: see judge synergy."""
    device: str = "auto"
    """As torch writes it (cpu, cuda:1); auto: the GPU where there is one."""
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 16
    """Most answers that are scored together; each has up to three pairs."""


class EmbeddedSynergyJudge(SynergyJudge):
    """As judge `synergy`, by a model of a few million weights that was trained on preferences about synthetic
    scenes: of anything else it knows nothing."""

    name = "synergy-embedded"
    summary = "how well text, image and sound of a synthetic answer fit together, by a small trained model"
    Options = EmbeddedSynergyOptions

    def __init__(self, options: EmbeddedSynergyOptions, endpoint: Any = None) -> None:
        own = SynergyOptions(
            model=str(WEIGHTS),
            dtype="float32",
            reading=options.reading,
            device=options.device,
            batch_size=options.batch_size,
        )
        super().__init__(own, endpoint)

    def check(self, outputs: tuple[Modality, ...]) -> None:
        shipped(WEIGHTS, f"judge {self.name}")
        super().check(outputs)
