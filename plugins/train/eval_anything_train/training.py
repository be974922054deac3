"""One training run from its settings: data, checks, policy, method and loop put together."""

from __future__ import annotations

import importlib
import math
import os
import shutil
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from eval_anything.errors import DataError, StorageError
from eval_anything.models.hf import checkpoint
from eval_anything.values import Text
from eval_anything_train import loop
from eval_anything_train.checkpoint import checkpoints
from eval_anything_train.data import source
from eval_anything_train.data.dataset import DataSet
from eval_anything_train.family import family_of
from eval_anything_train.llf.manifest import LLFOutcome
from eval_anything_train.loop import Outcome
from eval_anything_train.manifest import check_out, read_manifest
from eval_anything_train.methods.base import Training
from eval_anything_train.methods.registry import method_class
from eval_anything_train.order import Plan
from eval_anything_train.policy import policy_for
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.session import Session
from eval_anything_train.settings import ChainOutcome, Settings, Workplace
from eval_anything_train.values import Critiqued, Record

_SEVERAL = {"llf": "llf.flow:llf", "scenes": "scenes.flow:scenes", "synergy": "synergy.flow:synergy"}
"""Commands with several trainings in them."""
_STATE_BYTES = 12
"""Of a trained parameter in a checkpoint's `trainer/`: its value and two averages, in float32."""


def train(
    method: str, settings: Workplace, stream: TextIO | None = sys.stderr
) -> Outcome | LLFOutcome | ChainOutcome:
    """What `eval-anything train METHOD` does: one training, or several that stand on one another."""
    if method in _SEVERAL:
        module, _, name = _SEVERAL[method].partition(":")
        flow = getattr(importlib.import_module(f"eval_anything_train.{module}"), name)
        outcome: LLFOutcome | ChainOutcome = flow(settings, stream)
        return outcome
    assert isinstance(settings, Settings)
    return train_one(method, settings, stream)


def train_one(method: str, settings: Settings, stream: TextIO | None = sys.stderr) -> Outcome:
    """Train with `method` as `settings` say, or go on with the unfinished run in `settings.out`.

    `stream`: where progress is shown; None: nowhere. Every process of a run calls this. What can be known
    before weights are loaded is checked before: raises DataError for data that are empty, broken or of a
    modality that the checkpoint does not take, RunConflict for a directory that holds something else,
    StorageError where checkpoints would not fit on the disk; see `loop.train` for what comes later.
    """
    kind = method_class(method)
    kind.check_settings(settings)
    check_out(Path(settings.out))
    data = source.load(settings.data, kind.takes, limit=settings.limit)
    folder, _ = checkpoint.find(settings.model, None, weights=True)
    check_modalities(data, folder, settings, kind.takes)
    session = Session(settings)
    if session.main and not (Path(settings.out) / "final").is_dir():  # a finished run writes nothing more
        check_space(folder, len(data.records), settings, session)
    shown = stream if session.main else None
    for note in data.notes if shown else ():
        print(f"note: {note}", file=shown)
    trainer = kind(policy_for(settings, reference=kind.needs_reference), settings)
    for record in data.records:
        trainer.check(record)
    if session.main and read_manifest(Path(settings.out)) is None:
        for reader, records in trainer.read(data.records):
            check_lengths(reader, records, settings)
    return loop.train(trainer, data.records, settings, session, stream)


def report(outcome: Outcome | LLFOutcome | ChainOutcome, *, as_json: bool) -> None:
    """Say where the trained model is and what can be done with it; only the main process of a run does."""
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(outcome.manifest), indent=2).decode())
        return
    if isinstance(outcome, LLFOutcome | ChainOutcome):
        print(outcome.text)
        return
    print(f"trained model: {outcome.folder}\n{_next(outcome)}")


def _next(outcome: Outcome) -> str:
    match outcome.manifest.method:
        case "reward":
            return f"to use it:     eval-anything train ppo --reward {outcome.folder} ..."
        case "feedback":
            return f"to use it:     eval-anything train llf --feedback-model {outcome.folder} ..."
        case _:
            run, images = "eval-anything run --model", family_of(outcome.folder).decodes
            drawn = f"\nits images:    {run} hf_media/{outcome.folder} --tasks image_reward" if images else ""
            return f"to score it:   {run} hf/{outcome.folder} --tasks amu{drawn}"


def check_modalities(data: DataSet[Any], folder: Path, settings: Settings, kind: type[Record]) -> None:
    """Raises DataError where prompts hold what the checkpoint in `folder` does not take, or answers what it
    does not make. Loads no weights."""
    family = family_of(folder)
    takes = family.open(folder).capabilities.inputs
    shown, made = [*data.inputs], [*data.outputs]
    if kind is Critiqued:  # what feedback is about stands in the prompt
        shown, made = shown + made, []
    able = {"prompts": (shown, takes, "takes"), "answers": (made, family.makes, "makes")}
    for parts, (held, known, does) in able.items():
        if foreign := [modality for modality in held if modality not in known]:
            raise DataError(
                f"{settings.data}: its {parts} hold {' and '.join(foreign)}; {settings.model} {does}"
                f" {', '.join(known)}"
            )


def check_lengths(reader: Training[Any, Any], records: Sequence[Record], settings: Settings) -> None:
    """Raises TooLongError for the first record that is longer than the limit, or whose prompt leaves nothing
    of an answer that would be cut. Only where all are text can that be known before training; how long a
    medium is, takes decoding it."""
    if settings.too_long == "skip":
        return
    if all(map(_is_text, records)):
        for record in records:
            reader.encode(record)


def _is_text(record: Record) -> bool:
    """Whether it holds no media."""
    turns = [message.parts for message in record.messages]
    answers = [getattr(record, name, ()) for name in ("answer", "chosen", "rejected")]
    return all(isinstance(part, Text) for parts in (*turns, *answers) for part in parts)


def check_space(folder: Path, records: int, settings: Settings, session: Session) -> None:
    """Raises StorageError where the disk has no room for the checkpoints of a run that begins with the one in
    `folder`."""
    out = Path(settings.out)
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.is_dir())
    parameters = _parameters(folder)
    weights = parameters * session.dtype.itemsize
    # PPO's critic is of the reward model's size: taken to be the actor's.
    networks = 2 if isinstance(settings, PPOSettings) else 1
    state = 0 if settings.lora else networks * parameters * _STATE_BYTES
    plan = Plan(records, settings.epochs, settings.batch_size, settings.accumulate, session.processes)
    kept = min(settings.keep + 1, plan.steps // settings.save_every) if settings.save_every else 0
    more = max(0, kept - len(checkpoints(out / "checkpoints")))
    needed, free = weights + more * (weights + state), shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"{out}: {_gigabytes(needed)} are needed for the final model and {more} checkpoints at a time,"
            f" {_gigabytes(free)} are free: choose another --out, or save less (--save-every, --keep)"
        )


def _parameters(folder: Path) -> int:
    """How many the checkpoint in `folder` has: the headers of its files say it."""
    total = 0
    for file in checkpoint.weight_files(folder):
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = msgspec.json.decode(stream.read(length), type=dict[str, Any])
        total += sum(math.prod(held["shape"]) for name, held in header.items() if name != "__metadata__")
    return total


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
