"""What each method is told besides the settings that all share. Nothing here imports torch: flags and their
help are made from these fields."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from eval_anything_train.settings import NotNegative, Positive, Settings

KTOForm = Literal["paper", "align-anything"]
Length = Literal["answer", "whole"]


class RewardSettings(Settings, frozen=True, kw_only=True):
    regularization: NotNegative = 0.001
    """Weight of the scores' mean square."""


class DPOSettings(Settings, frozen=True, kw_only=True):
    beta: Positive = 0.1
    """How closely the reference model is kept to (align-anything: scale_coeff)."""


class KTOSettings(Settings, frozen=True, kw_only=True):
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 4
    """Records in one forward pass of one process; answers are mismatched among them."""
    beta: Positive = 0.1
    """How closely the reference model is kept to."""
    desirable_weight: NotNegative = 1.0
    """Weight of good answers."""
    undesirable_weight: NotNegative = 1.0
    """Weight of bad ones."""
    form: KTOForm = "paper"
    """paper: bad answers are punished. align-anything: its released code's sign, which rewards them."""


class SimPOSettings(Settings, frozen=True, kw_only=True):
    beta: Positive = 2.5
    """Scale of the margin."""
    gamma: float = 1.4
    """Margin that is aimed at."""
    length: Length = "answer"
    """By whose tokens log-probabilities are divided: the answer's, or (whole, as the released code of
    align-anything does) prompt's and answer's."""


class ORPOSettings(Settings, frozen=True, kw_only=True):
    odds_weight: NotNegative = 0.5
    """Weight of the odds ratio beside the imitation."""
    length: Length = "answer"
    """By whose tokens log-probabilities are divided: the answer's, or (whole, as the released code of
    align-anything does) prompt's and answer's."""
