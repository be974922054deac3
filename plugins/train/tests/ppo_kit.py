"""What tests of PPO have in common: models of one prompt, rewards that are known, runs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import tiny_models
import torch
from train_kit import turn

from eval_anything.models.hf import load, omni_random
from eval_anything.values import File, Text
from eval_anything_train.loop import Outcome, train
from eval_anything_train.metrics import read_metrics
from eval_anything_train.policy import Policy, open_policy, policy_for, save_policy
from eval_anything_train.ppo.method import PPO
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.reward_model import new_head, save_head
from eval_anything_train.values import Answer, Demonstration, Prompt, text_of

QUESTIONS = ("What is it?", "red or blue?", "Say yes: is the image blue?", "no")


def bigrams(folder: Path) -> Path:
    """A language model without layers: what comes next depends on the last token alone."""
    load.libraries()
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = omni_random.byte_tokenizer(tiny_models.WORDS, {})
    tokenizer.chat_template = tiny_models.chatml()
    language = tiny_models._language(tokenizer, num_hidden_layers=0, hidden_size=16)
    return tiny_models._save(folder, LlamaForCausalLM, LlamaConfig(**language), tokenizer)


def reward_model(folder: Path, start: Path, seed: int = 5) -> Path:
    """A reward model with other weights than `start`'s and a head that prefers something."""
    policy = open_policy(str(start), {"max_length": 3000}, device="cpu", dtype="float32")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        head = new_head(policy.model.config.get_text_config().hidden_size)
        head.weight.copy_(0.3 * torch.randn(head.weight.shape, generator=generator))
    folder.mkdir(parents=True)
    save_policy(policy, policy.model, folder)
    save_head(head, folder)
    return folder


def prompts(count: int) -> list[Prompt]:
    return [Prompt(id=f"p{n}", messages=turn(QUESTIONS[n % len(QUESTIONS)])) for n in range(count)]


def demonstrations() -> list[Demonstration]:
    """Three, of different lengths."""
    words = ("yes", "the image is red", "no sound, blue")
    return [
        Demonstration(id=f"d{n}", messages=turn("What?" * (n + 1)), answer=(Text(text),))
        for n, text in enumerate(words)
    ]


def by_text(score: Callable[[str], float]) -> Callable[[Sequence[Prompt], Sequence[Answer]], list[float]]:
    """A reward of the answers' words."""
    return lambda _, answers: [score(text_of(answer)) for answer in answers]


def settings_of(model: Path, out: Path, **more: Any) -> PPOSettings:
    values = {
        **{"epochs": 1, "batch_size": 2, "max_new_tokens": 6, "max_length": 200, "device": "cpu"},
        **{"lr": 1e-3, "critic_lr": 1e-3, "save_every": 0},
    }
    return PPOSettings(model=str(model), data="tiny", out=str(out), **{**values, **more})


def run_ppo(
    settings: PPOSettings, records: Sequence[Prompt], ptx: Sequence[Demonstration] = (), reward: Any = None
) -> Outcome:
    """Train in this process; `reward` as PPO takes it."""
    method = PPO(policy_for(settings, reference=True), settings, reward=reward, ptx=ptx)
    return train(method, records, settings, stream=None)


def metrics_of(settings: PPOSettings) -> list[dict[str, Any]]:
    """Without what a clock says."""
    lines = read_metrics(Path(settings.out) / "metrics.jsonl")
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines]


def next_token(policy: Policy, model: Any, prompt: Prompt) -> torch.Tensor:
    """(vocabulary,): probabilities of the first token of the answer to `prompt`."""
    ids = policy.encoder.prompt(prompt.messages, prompt.id).input_ids
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=ids[None]).logits[0, -1]
    return logits.double().softmax(-1)


class Job(msgspec.Struct, frozen=True):
    """A run of PPO for a process of its own; answers are paid by their length."""

    settings: PPOSettings
    records: int
    media: dict[str, str] = {}
    """Record's id to an image in its prompt."""
    shown: int = 0
    """Demonstrations."""
    bad: str = ""
    """Record whose reward is no number."""


def do(job: Job) -> Outcome:
    records = [
        msgspec.structs.replace(one, messages=turn(File(job.media[one.id], "image"), "What is it?"))
        if one.id in job.media
        else one
        for one in prompts(job.records)
    ]

    def score(asked: Sequence[Prompt], answers: Sequence[Answer]) -> list[float]:
        lengths = [len(text_of(answer)) / 10 for answer in answers]
        return [math.nan if one.id == job.bad else x for one, x in zip(asked, lengths, strict=True)]

    return run_ppo(job.settings, records, demonstrations()[: job.shown], score)


if __name__ == "__main__":
    for path in sys.argv[1:]:
        do(msgspec.json.decode(Path(path).read_bytes(), type=Job))
