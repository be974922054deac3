"""What tests of the loop train: a tiny model on a few records, with a method as small as can be."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from eval_anything.errors import EvalAnythingError
from eval_anything.values import File, Message, Text
from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.loop import Outcome, train
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.policy import policy_for
from eval_anything_train.settings import Settings
from eval_anything_train.values import Demonstration

torch.set_num_threads(1)  # more wait for one another longer than they compute
WORDS = ("red", "blue", "yes", "no", "the image", "what sound")


class Imitate(Method[Demonstration, Encoded]):
    """Cross-entropy on the answers."""

    name = "imitate"
    takes = Demonstration

    def encode(self, record: Demonstration) -> Encoded:
        return self.policy.encoder.conversation(record.messages, record.answer, record.id)

    def collate(self, items: Sequence[Encoded]) -> Batch:
        return collate(items, self.policy.pad)

    def weight(self, batch: Batch) -> float:
        return float(batch.response.sum())

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        logprobs, mask = token_logprobs(module, batch)
        loss = -logprobs.sum() / mask.sum()
        return loss, {"likely": (logprobs.exp() * mask).sum().detach() / mask.sum()}


def demonstrations(count: int, image: Path | None = None, *, drawn: bool = False) -> list[Demonstration]:
    """Answers of different lengths; with `image`, every other record has it in its prompt, and if it is
    `drawn`, every third one in its answer."""
    found = []
    for number in range(count):
        media = () if image is None or number % 2 else (File(str(image), "image"),)
        question = Text(f"{WORDS[number % 6]} {number}?")
        answer = Text(" ".join(WORDS[(number + k) % 6] for k in range(1 + number % 4)))
        made = (File(str(image), "image"),) if drawn and number % 3 == 0 else ()
        found.append(
            Demonstration(
                id=f"r{number}", messages=(Message("user", (*media, question)),), answer=(*made, answer)
            )
        )
    return found


def settings_of(model: Path, out: Path, **more: Any) -> Settings:
    """Settings with which a tiny model learns within a few steps on the CPU."""
    values = {"epochs": 2, "batch_size": 2, "lr": 1e-3, "warmup": 0.1, "device": "cpu", "save_every": 0}
    return Settings(model=str(model), data="tiny", out=str(out), **{**values, **more})


def run_tiny(
    settings: Settings, records: Sequence[Demonstration], method: type[Imitate] = Imitate
) -> Outcome:
    return train(method(policy_for(settings), settings), records, settings, stream=None)


def environment(**more: str) -> dict[str, str]:
    """For processes that import what tests import."""
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[2] / "tests"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **more}


class Job(msgspec.Struct, kw_only=True):
    """What a process of its own is to train."""

    settings: Settings
    records: int
    image: str | None = None
    drawn: bool = False
    """Whether answers hold it, too."""
    poisoned: str | None = None
    """The record whose loss is no number."""


class Poisoned(Imitate):
    """Its loss is no number for one record."""

    record: str | None = None

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        loss, metrics = super().loss(module, batch)
        return (loss * float("nan") if self.record in batch.ids else loss), metrics


def main(*paths: str) -> None:
    """Do the jobs in the files `paths`, one after the other."""
    for path in paths:
        asked = msgspec.json.decode(Path(path).read_bytes(), type=Job)
        Poisoned.record = asked.poisoned
        records = demonstrations(asked.records, Path(asked.image) if asked.image else None, drawn=asked.drawn)
        try:
            run_tiny(asked.settings, records, Poisoned)
        except EvalAnythingError as fault:
            sys.exit(f"{type(fault).__name__}: {fault}")


if __name__ == "__main__":
    main(*sys.argv[1:])
