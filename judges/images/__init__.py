"""Reward models of a prompt and an image: what their judges share, and the way to have one without a run."""

from eval_anything.judges.images.rewards import reward

__all__ = ["reward"]
