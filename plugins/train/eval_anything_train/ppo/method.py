"""Proximal policy optimisation: what a record becomes, and with whom the policy is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval_anything_train.collate import Batch
from eval_anything_train.data import source
from eval_anything_train.encode import TooLongError
from eval_anything_train.manifest import data_fingerprint
from eval_anything_train.methods.base import Training
from eval_anything_train.methods.sft import SFT
from eval_anything_train.place import process_device
from eval_anything_train.policy import Policy
from eval_anything_train.ppo.critic import open_critic
from eval_anything_train.ppo.rewards import FunctionReward, Reward, RewardFunction, open_reward
from eval_anything_train.ppo.rollouts import Question, gathered
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.ppo.stepper import PPOStepper
from eval_anything_train.run import Run
from eval_anything_train.stepper import Stepper
from eval_anything_train.values import Demonstration, Prompt


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
        self.critic = open_critic(settings, policy, self.reward)
        self.imitation = SFT(policy, settings)
        """How demonstrations are read."""
        if ptx is None:
            ptx = source.load(settings.ptx_data, Demonstration).records if settings.ptx_data else ()
        self.ptx = tuple(ptx)
        for record in self.ptx:
            self.imitation.check(record)

    def encode(self, record: Prompt) -> Question:
        """Raises TooLongError where the longest answer would not fit."""
        encoded = self.policy.encoder.prompt(record.messages, record.id)
        s = self.settings
        if len(encoded) + s.max_new_tokens > s.max_length:
            raise TooLongError(
                f"record {record.id!r}: {len(encoded)} tokens of prompt and up to {s.max_new_tokens} of"
                f" answer (max_new_tokens), max_length is {s.max_length}"
            )
        return Question(record, encoded)

    def collate(self, items: Sequence[Question]) -> Batch:
        return gathered(items, self.policy.pad)

    def identity(self) -> dict[str, Any]:
        start = self.settings.critic
        return {
            "reward": self.reward.identity(),
            **({"critic": start} if start else {}),
            **({"ptx_data": data_fingerprint(self.ptx)} if self.ptx else {}),
        }

    def stepper(self, records: Sequence[Prompt], run: Run) -> Stepper:
        return PPOStepper(self, records, run)
