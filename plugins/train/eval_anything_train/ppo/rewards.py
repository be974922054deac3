"""What scores whole answers: a reward model of ours, a judge of images, or a function."""

from __future__ import annotations

import abc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything.judges import images
from eval_anything.judges.asked import user_text
from eval_anything.models.base import local_path
from eval_anything.models.hf import checkpoint
from eval_anything.models.hf.load import Opened
from eval_anything.values import File, Sample
from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded
from eval_anything_train.family import family_of
from eval_anything_train.policy import Policy
from eval_anything_train.ppo.rollouts import Rollout
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.reward_model import RewardModel, end_scores, load_head
from eval_anything_train.values import Answer, Prompt

RewardFunction = Callable[[Sequence[Prompt], Sequence[Answer]], Sequence[float]]
"""One score for each prompt and its answer."""

_FILES = (
    *("tokenizer*.json", "vocab*", "merges.txt", "added_tokens.json", "special_tokens_map.json"),
    "*processor_config.json",
)
"""What decides how a checkpoint reads a conversation."""
_PATHS = ("model", "tokenizer")
"""Options of judges of images that may be local files or folders."""


class Reward(abc.ABC):
    """A source of scores."""

    @abc.abstractmethod
    def scores(self, rollout: Rollout) -> Sequence[float] | Tensor:
        """One for each answer of `rollout`, whose batch is on the model's device."""

    def identity(self) -> str:
        """What it is, for the manifest."""
        return ""


class ModelReward(Reward):
    """A reward model: the folder of a finished `train reward`."""

    def __init__(self, folder: Path, policy: Policy, settings: PPOSettings, device: str) -> None:
        """Raises UsageError where `folder` holds no reward model."""
        head, family = load_head(folder), family_of(folder)
        opened = family.open(folder)
        network = family.load(opened, device, str(policy.dtype).removeprefix("torch."))
        self.folder = folder
        self.model = RewardModel(network, head).requires_grad_(False).eval()
        self.same = reads_alike(opened, policy.opened)
        """Whether it reads the policy's own token ids."""
        # Nothing is left out of what it scores, so no limit.
        options = {"max_length": sys.maxsize, "max_frames": settings.max_frames, "fps": settings.fps}
        self.encoder = family.encoder(opened, network, **options)
        self.pad = int(opened.tokenizer.pad_token_id)

    def scores(self, rollout: Rollout) -> Tensor:
        batch = rollout.batch if self.same else self._read(rollout)
        weight = next(self.model.parameters())
        with torch.no_grad():
            return end_scores(self.model, batch.to(weight.device, weight.dtype))

    def _read(self, rollout: Rollout) -> Batch:
        """The conversations of `rollout` in the reward model's own ids."""
        read = zip(rollout.records, rollout.answers, strict=True)
        return collate([self._conversation(record, answer) for record, answer in read], self.pad)

    def _conversation(self, record: Prompt, answer: Answer) -> Encoded:
        e = self.encoder
        return e.answered(e.prompt(record.messages, record.id, e.opening(answer)), answer)

    def identity(self) -> str:
        return checkpoint.digest(self.folder)[0]


class ImageReward(Reward):
    """A judge's reward model of a prompt and an image; an answer with several images has their mean score."""

    def __init__(self, spec: str, device: str) -> None:
        """`spec`: JUDGE, or JUDGE:OPTION=VALUE,OPTION=VALUE. Raises UsageError where there is no such judge,
        an option is wrong, or its checkpoint cannot be loaded."""
        self.spec = spec
        self.name, _, written = spec.partition(":")
        pairs = [pair.partition("=") for pair in written.split(",") if pair]
        if odd := [key for key, equals, _ in pairs if not equals]:
            raise UsageError(f"reward {spec}: expected {self.name}:OPTION=VALUE, found {odd[0]!r}")
        self.options = {key.strip(): value for key, _, value in pairs}
        self.scorer = images.reward(self.name, **{"device": device, **self.options})

    def scores(self, rollout: Rollout) -> list[float]:
        pairs = [
            (number, Path(part.path))
            for number, answer in enumerate(rollout.answers)
            for part in answer
            if isinstance(part, File) and part.modality == "image"
        ]
        asked = [
            user_text(Sample(id=record.id, messages=record.messages))
            for record in (rollout.records[number] for number, _ in pairs)
        ]
        found = self.scorer.score(asked, [path for _, path in pairs])
        held: list[list[float]] = [[] for _ in rollout.answers]
        for (number, _), score in zip(pairs, found, strict=True):
            held[number].append(score)
        missing = [record.id for record, own in zip(rollout.records, held, strict=True) if not own]
        if missing:
            raise EvalAnythingError(
                f"reward {self.name} scores images, and the answer to record {missing[0]!r} has none"
            )
        return [sum(own) / len(own) for own in held]

    def identity(self) -> str:
        """As it was asked for, with the content of local files in place of their paths."""
        told = {key: _content(value) if key in _PATHS else value for key, value in self.options.items()}
        return ":".join(filter(None, (self.name, ",".join(f"{key}={told[key]}" for key in told))))


class FunctionReward(Reward):
    """A Python function."""

    def __init__(self, function: RewardFunction) -> None:
        self.function = function

    def scores(self, rollout: Rollout) -> Sequence[float]:
        return self.function(rollout.records, rollout.answers)

    def identity(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"{self.function.__module__}.{name}"


def open_reward(settings: PPOSettings, policy: Policy, device: str) -> Reward:
    """What `settings.reward` names. Raises UsageError where that is nothing that scores."""
    folder = reward_folder(settings)
    if folder is None:
        return ImageReward(settings.reward, device)
    return ModelReward(folder, policy, settings, device)


def reward_folder(settings: PPOSettings) -> Path | None:
    """The reward model that `settings.reward` names, None where that is a judge of images.

    Raises UsageError where it names nothing, or a folder that holds no reward model.
    """
    name = settings.reward
    if not name:
        raise UsageError("reward: expected the folder of a reward model or a judge of images")
    if "/" not in name.partition(":")[0] and local_path(name) is None:
        return None
    folder, _ = checkpoint.find(name, None, weights=True)
    load_head(folder)
    return folder


def _content(name: str) -> str:
    """What tells two checkpoints apart: a digest of a local one, else the name."""
    path = local_path(name)
    if path is None:
        return name
    return checkpoint.digest_of([path]) if path.is_file() else checkpoint.digest(path, more=("*.pt",))[0]


def reads_alike(one: Opened, other: Opened) -> bool:
    """Whether two checkpoints make the same token ids and pixels of a conversation: their chat templates are
    the same, and the files of tokenizer and processor, byte by byte."""
    return _reading(one) == _reading(other)


def _reading(opened: Opened) -> tuple[str, dict[str, bytes]]:
    files = {path.name: path.read_bytes() for pattern in _FILES for path in opened.folder.glob(pattern)}
    return opened.chat_template or opened.processor.chat_template, files
