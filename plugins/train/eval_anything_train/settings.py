"""What training is asked to do, whatever the method: one strict structure for flags, YAML files and Python.

The methods' own settings extend `Settings`. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

Schedule = Literal["cosine", "linear", "constant"]
TooLong = Literal["error", "cut", "skip"]
Dtype = Literal["auto", "bfloat16", "float32"]
EncodeIn = Literal["threads", "processes"]
Optimizer = Literal["adamw", "muon"]

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]

_SEED = 2**63 - 1
"""The largest: torch takes 64 bits."""


class Lora(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Low-rank adapters (peft) in place of training all weights."""

    rank: Count
    """Rank of the two factors of a layer's change."""
    alpha: Positive = 16.0
    """The change is scaled by alpha / rank."""
    dropout: Share = 0.0
    """Share of the adapters' inputs that are dropped in training."""
    targets: tuple[str, ...] = ()
    """Names of layers, or their endings; empty: all linear layers of the language model."""


class Workplace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a command works, and what it leaves there."""

    out: str
    """Directory of the run. An unfinished run in it is resumed."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto: the GPU where there is one."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=_SEED)] = 0
    """Of the records' order, dropout, fresh weights and sampling."""
    workers: Count = 2
    """How many decode and encode records ahead of the step."""
    encode_in: EncodeIn = "threads"
    """What those are: threads, or processes, for a GPU that would wait for threads."""
    save_every: Annotated[int, msgspec.Meta(ge=0)] = 500
    """Optimiser steps between checkpoints. 0: the final one alone."""
    keep: Count = 2
    """Checkpoints kept, the newest ones; the final one is none of them."""
    log_every: Count = 10
    """Steps between lines of progress, where the output is no terminal."""


class Common(Workplace, frozen=True, kw_only=True):
    """What the commands share that train a given model, those with several trainings among them."""

    model: str
    """Checkpoint to begin with: a folder or a hub id."""
    data: str
    """Records to train on: align-anything:ti2t, synthetic:ti2t, a file, a folder; `eval-anything train
    --help` has all forms."""
    limit: Count | None = None
    """Only the first so many records."""
    lora: Lora | None = None
    """Train adapters instead of all weights."""
    gradient_checkpointing: bool = False
    """Compute activations twice, to hold fewer of them."""
    dtype: Dtype = "auto"
    """What is computed in; auto: bfloat16 on a GPU, else float32. Trained weights are held in float32."""
    max_frames: Count = 16
    """Frames of a video at most."""
    fps: Positive = 1.0
    """Frames of a video per second."""


class Settings(Common, frozen=True, kw_only=True):
    """What all methods share. The defaults are for preference data of a few tens of thousand records."""

    epochs: Count = 3
    """How often each record is seen."""
    batch_size: Count = 4
    """Records in one forward pass of one process."""
    accumulate: Count = 1
    """Forward passes of one process in one optimiser step."""
    lr: Positive = 1e-6
    """Highest learning rate."""
    warmup: Share = 0.03
    """Share of the steps in which the learning rate rises to `lr`."""
    schedule: Schedule = "cosine"
    """How the learning rate falls afterwards: cosine or linear (to zero), constant (not at all)."""
    optimizer: Optimizer = "adamw"
    """adamw, or muon for the matrices of hidden layers and AdamW for the rest: learns faster from scratch."""
    weight_decay: NotNegative = 0.0
    """The optimiser's; never of biases and norms."""
    betas: tuple[Share, Share] = (0.9, 0.95)
    """AdamW's averages of the gradient and of its square."""
    clip: NotNegative = 1.0
    """Largest norm of the gradient; longer ones are shortened to it. 0: none is."""
    max_length: Annotated[int, msgspec.Meta(ge=2)] = 2048
    """Tokens of prompt and answer together, media included."""
    too_long: TooLong = "error"
    """A record longer than that: error (it is named), cut (its answer, at the end), or skip (and count)."""


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training of several that stand on one another, on records that are numbers."""

    name: str
    method: str
    rows: Count
    """Records, each seen once."""
    batch_size: Count
    lr: Positive
    warmup: Share = 0.03
    schedule: Schedule = "cosine"
    optimizer: Optimizer = "adamw"
    weight_decay: NotNegative = 0.01
    betas: tuple[Share, Share] = (0.9, 0.98)


L = TypeVar("L", bound=Link)


class Recipe(msgspec.Struct, Generic[L], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trainings in their order."""

    stages: tuple[L, ...]


class ChainSettings(Workplace, frozen=True, kw_only=True):
    """What the commands are told that make something from scratch; everything else is in their recipes."""

    recipe: str = ""
    """File with the stages; our own recipe.yaml unless given."""
    exam_seed: str = "0"
    """Which held-out questions the examination asks."""


@dataclasses.dataclass(frozen=True)
class ChainOutcome:
    """What was made, and how it did."""

    folder: Path
    manifest: Recipe[Any]
    text: str
    """For people."""


FREE = frozenset({"out", "device", "workers", "encode_in", "keep", "save_every", "log_every"})
"""Settings that may change when a run is resumed: the result does not depend on them (on one machine)."""
