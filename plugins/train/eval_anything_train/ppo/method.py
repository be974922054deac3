"""Proximal policy optimisation: what a record becomes, and with whom the policy is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from eval_anything.errors import UsageError
from eval_anything.models.hf import checkpoint
from eval_anything.values import Modality
from eval_anything_train.collate import Batch
from eval_anything_train.data import source
from eval_anything_train.data.dataset import fingerprint
from eval_anything_train.encode import TooLongError
from eval_anything_train.family import family_of
from eval_anything_train.methods.base import Training
from eval_anything_train.methods.sft import SFT
from eval_anything_train.place import process_device
from eval_anything_train.policy import Policy
from eval_anything_train.ppo.critic import open_critic
from eval_anything_train.ppo.drawing import Drawer, Painter
from eval_anything_train.ppo.rewards import (
    FunctionReward,
    ImageReward,
    ModelReward,
    Reward,
    RewardFunction,
    open_reward,
    reward_folder,
)
from eval_anything_train.ppo.rollouts import Question, Sampler, gathered
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.ppo.stepper import PPOStepper
from eval_anything_train.run import Run
from eval_anything_train.session import Session
from eval_anything_train.stepper import Stepper
from eval_anything_train.values import Demonstration, Prompt, Record


class PPO(Training[Prompt, Question]):
    """Schulman et al., arXiv 1707.06347, as align-anything has it: the policy answers a step's prompts, is
    paid the score of each answer less the price of its distance from the reference model, and is updated
    together with a critic that foretells what it will be paid. Dropout is off throughout."""

    name = "ppo"
    takes = Prompt
    needs_reference = True
    settings: PPOSettings

    def __init__(
        self,
        policy: Policy,
        settings: PPOSettings,
        *,
        reward: Reward | RewardFunction | None = None,
        ptx: Sequence[Demonstration] | None = None,
    ) -> None:
        """`reward`: in place of the one that `settings` name; a function takes prompts and answers and gives
        scores. `ptx`: demonstrations in place of `settings.ptx_data`. Raises UsageError or DataError for what
        the settings name and cannot be used."""
        super().__init__(policy, settings)
        if reward is None:
            reward = open_reward(settings, policy, process_device(settings.device))
        self.reward = reward if isinstance(reward, Reward) else FunctionReward(reward)
        self.painter = self._painter()
        self.critic = open_critic(settings, policy, self.reward)
        self.imitation = SFT(policy, settings)
        """How demonstrations are read."""
        if ptx is None:
            ptx = source.load(settings.ptx_data, Demonstration).records if settings.ptx_data else ()
        self.ptx = tuple(ptx)
        for record in self.ptx:
            self.imitation.check(record)

    @classmethod
    def check_settings(cls, settings: PPOSettings) -> None:
        reward_folder(settings)

    def encode(self, record: Prompt) -> Question:
        """Raises TooLongError where the longest answer would not fit."""
        s = self.settings
        opening: Modality = "image" if s.answers == "image" else "text"
        encoded = self.policy.encoder.prompt(record.messages, record.id, opening)
        if len(encoded) + s.max_new_tokens > s.max_length:
            raise TooLongError(
                f"record {record.id!r}: {len(encoded)} tokens of prompt and up to {s.max_new_tokens} of"
                f" answer (max_new_tokens), max_length is {s.max_length}"
            )
        return Question(record, encoded)

    def read(self, records: Sequence[Prompt]) -> Sequence[tuple[Training[Any, Any], Sequence[Record]]]:
        return [*super().read(records), (self.imitation, self.ptx)]

    def collate(self, items: Sequence[Question]) -> Batch:
        return gathered(items, self.policy.pad)

    def identity(self) -> dict[str, Any]:
        start = self.settings.critic
        critic = checkpoint.digest(checkpoint.find(start, None, weights=True)[0])[0] if start else ""
        return {
            "reward": self.reward.identity(),
            **({"critic": critic} if critic else {}),
            **({"ptx_data": fingerprint(self.ptx)} if self.ptx else {}),
        }

    def sampler(self, session: Session, model: torch.nn.Module) -> Sampler:
        """What lets `model`, the policy's own without wrappers, answer."""
        if self.settings.answers == "text":
            return Sampler(session, self.policy, model, self.settings)
        return Drawer(session, self.policy, model, self.settings, self.painter)

    def _painter(self) -> Painter | None:
        """Where images of answers must be files for the reward. Raises UsageError where they cannot be."""
        wants_images = isinstance(self.reward, ImageReward)
        if self.settings.answers == "text":
            if wants_images:
                raise UsageError(f"reward {self.settings.reward} scores images: set answers to image")
            return None
        if "image" not in self.policy.encoder.makes:
            raise UsageError(f"answers: {self.policy.folder} answers in text alone")
        if isinstance(self.reward, ModelReward) and self.reward.same:
            return None
        if not family_of(self.policy.folder).decodes:
            raise UsageError(
                f"answers: the images of {self.policy.folder} stay tokens: expected a reward model that reads"
                " them, trained on that checkpoint"
            )
        return Painter(self.policy)

    def stepper(self, records: Sequence[Prompt], run: Run) -> Stepper:
        return PPOStepper(self, records, run)
