"""What PPO is told besides the settings that all methods share. Nothing here imports torch."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from eval_anything_train.settings import Count, NotNegative, Positive, Schedule, Settings, Share

Answers = Literal["text", "image", "any"]
Part = Annotated[float, msgspec.Meta(ge=0, le=1)]


class PPOSettings(Settings, frozen=True, kw_only=True):
    """The defaults are align-anything's. A step lets the policy answer `batch_size * accumulate` prompts."""

    lr: Positive = 1e-5
    """Highest learning rate of the actor, the model that is trained; warmup and schedule are its own, too."""
    critic_lr: Positive = 5e-6
    """Highest learning rate of the critic."""
    critic_warmup: Share = 0.03
    """Share of the steps in which the critic's learning rate rises."""
    critic_schedule: Schedule = "constant"
    """How the critic's learning rate falls afterwards."""
    reward: str = ""
    """What scores an answer: the folder of a reward model (made by `train reward`), or a judge of images
    (image_reward, hpsv2, with its options as in hpsv2:version=v2.1,model=PATH)."""
    critic: str = ""
    """The reward model that the critic begins as; empty: the one of `reward`, or the policy with a new head
    where `reward` is no such folder."""
    kl_coeff: NotNegative = 0.02
    """Price of each token's log-ratio to the reference model."""
    clip_range_ratio: Positive = 0.2
    """How far the ratio of new to old probability counts on either side of 1."""
    clip_range_score: Positive = 50.0
    """Scores beyond this, on either side of 0, count as this."""
    clip_range_value: Positive = 5.0
    """How far the critic may move from its value before the step."""
    gamma: Part = 1.0
    """Discount of the rewards of later tokens."""
    gae_lambda: Part = 0.95
    """How far advantages look ahead past the critic: 0 one token, 1 to the end."""
    whiten: bool = False
    """Shift and scale a step's advantages to mean 0 and deviation 1."""
    update_iters: Count = 1
    """Updates of actor and critic on the answers of one step."""
    ptx_data: str = ""
    """Demonstrations to be imitated beside; empty: none."""
    ptx_coeff: NotNegative = 16.0
    """Weight of the imitation's loss."""
    answers: Answers = "text"
    """What the policy answers with: text; image (one, alone); any (words, and images where it begins one).
    Images are for models that make them as tokens."""
    temperature: Positive = 1.0
    """Of the policy, when it answers and in all log-probabilities."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Answers are drawn from the likeliest tokens that together have this probability."""
    max_new_tokens: Count = 512
    """Tokens of an answer at most; prompt and answer must fit into max_length."""
