"""The critic: what the rest of an answer is worth, foretold at every token of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from eval_anything.errors import UsageError
from eval_anything.models.hf import checkpoint
from eval_anything_train.family import family_of
from eval_anything_train.logprobs import unwrapped
from eval_anything_train.lora import sharing, with_adapters
from eval_anything_train.place import division, loading_device
from eval_anything_train.policy import Policy, checkpoint_activations
from eval_anything_train.ppo.rewards import ModelReward, Reward, reads_alike
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.reward_model import RewardModel, load_head


def open_critic(settings: PPOSettings, policy: Policy, reward: Reward) -> RewardModel:
    """A network with a head of one number. It begins as a reward model, as in align-anything, or as the
    policy with a head that gives 0; its weights are its own.

    With LoRA its adapters are its own, and the frozen weights are those that are in memory already. `policy`
    must not have been trained yet. Raises UsageError for a reward model that reads other tokens than the
    policy.
    """
    start = _start(settings, policy, reward)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = _network(settings, policy, reward, start)
        if settings.lora is not None:
            network = with_adapters(network, settings.lora)
    _freeze_vocabulary(network)
    if settings.gradient_checkpointing:
        checkpoint_activations(network)
    network.train()
    return RewardModel(network, None if start is None else load_head(start))


def _start(settings: PPOSettings, policy: Policy, reward: Reward) -> Path | None:
    """The reward model to begin with; None: the policy."""
    if settings.critic:
        folder, _ = checkpoint.find(settings.critic, None, weights=True)
        load_head(folder)
        if not reads_alike(family_of(folder).open(folder), policy.opened):
            raise UsageError(
                f"critic: {folder} reads conversations differently from {policy.folder}: expected the same"
                " tokenizer, chat template and processor"
            )
        return folder
    if isinstance(reward, ModelReward) and reward.same:
        return reward.folder
    return None


def _network(settings: PPOSettings, policy: Policy, reward: Reward, start: Path | None) -> Any:
    adapted = settings.lora is not None
    # Weights that are divided among processes cannot be divided twice.
    shared = adapted and division() is None
    if start is None:
        return sharing(policy.model) if shared else copy.deepcopy(sharing(policy.model))
    if shared and isinstance(reward, ModelReward) and reward.folder == start:
        return sharing(reward.model.model)
    dtype = str(policy.dtype).removeprefix("torch.") if adapted else "float32"
    family = family_of(start)
    return family.load(family.open(start), loading_device(settings.device), dtype)


def _freeze_vocabulary(network: Any) -> None:
    """The head over the vocabulary has no part in a critic's loss, unless it is the embedding as well."""
    inner = unwrapped(network)
    held = {id(parameter) for parameter in inner.get_input_embeddings().parameters()}
    for parameter in inner.get_output_embeddings().parameters():
        if id(parameter) not in held:
            parameter.requires_grad_(False)
