"""The trainings within LLF: the feedback model's, DPO's, the reward model's, PPO's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from eval_anything.errors import RunConflict, UsageError
from eval_anything.models.hf import checkpoint
from eval_anything_train import config
from eval_anything_train.data import schema, source
from eval_anything_train.data.dataset import fingerprint
from eval_anything_train.llf import pairs
from eval_anything_train.llf.settings import LLFSettings
from eval_anything_train.loop import Outcome
from eval_anything_train.manifest import Parent, check_same, identity, read_manifest
from eval_anything_train.methods.registry import method_class
from eval_anything_train.settings import Common, Settings
from eval_anything_train.values import Critiqued

_SHARED = tuple(name for name in Common.__struct_fields__ if name not in ("model", "data", "out", "limit"))
_ALL = ("feedback", "dpo", "reward", "ppo")
_DECIDED = ("model", "data", "out", "reward")
"""What LLF says itself."""


class Trainings:
    """The settings of each, and how they are run."""

    def __init__(self, settings: LLFSettings) -> None:
        """Raises UnknownName or UsageError for settings of a training that cannot be."""
        self.settings = settings
        self.out = Path(settings.out).resolve()
        self.critiqued = self.out / "feedback-data" / "critiqued.jsonl"
        """What the feedback model learns from."""
        self.last: str = settings.then
        self.of: Mapping[str, Settings] = {name: self._settings(name) for name in _ALL}

    def _settings(self, name: str) -> Settings:
        given: dict[str, Any] = getattr(self.settings, name)
        for key in _DECIDED:
            if key in given:
                raise UsageError(f"--{name}: {key}: llf decides that itself")
        shared = {one: getattr(self.settings, one) for one in _SHARED} | {"too_long": self.settings.too_long}
        layers = [
            config.Layer(config.plain(shared), "llf"),
            config.Layer(given, f"--{name}"),
            config.Layer(self._decided(name), "llf"),
        ]
        kind = config.settings_class(name)
        found = config.assemble(kind, layers, f"train llf, {name}")
        assert isinstance(found, Settings)
        return found

    def _decided(self, name: str) -> dict[str, Any]:
        values: dict[str, Any] = {"model": self.settings.model, "out": str(self.out / name)}
        match name:
            case "feedback":
                return {**values, "data": str(self.critiqued)}
            case "ppo":
                return {
                    **values,
                    "data": self.settings.prompt_data or self.settings.data,
                    "limit": self.settings.limit,
                    "reward": str(self.final("reward")),
                }
        return {**values, "data": str(self.out / "pairs" / pairs.PAIRS)}

    def final(self, name: str) -> Path:
        """Where a training leaves its checkpoint."""
        return self.out / name / "final"

    def feedback(self, stream: TextIO | None) -> dict[str, int]:
        """Train the feedback model. Returns how much it learnt from. Raises RunConflict where an earlier
        session chose other data, and as `training.train_one` does."""
        records = chosen(self.settings)
        if self.critiqued.exists():
            self._check_chosen(records)
        else:
            # Where there are several processes, all write the same, each the whole of it.
            schema.write(self.critiqued, records)
        self.train("feedback", stream)
        return {"critiques": len(records), "rows": len({row_of(record) for record in records})}

    def train(self, name: str, stream: TextIO | None) -> Outcome:
        from eval_anything_train.training import train_one

        return train_one(name, self.of[name], stream)

    def wait_for_others(self) -> None:
        """Until all processes of a launcher are here."""
        from eval_anything_train.session import Session

        Session(self.of["feedback"]).wait()

    def check_feedback(self) -> None:
        """Raises RunConflict, showing the differences, where the feedback model was trained with other
        settings, or on something else. Loads no weights."""
        self._check_chosen(chosen(self.settings))
        self.check("feedback")

    def check(self, name: str) -> None:
        """The same for any training that is finished and has no identity of its own."""
        settings = self.of[name]
        folder = Path(settings.out)
        old = read_manifest(folder)
        if old is None or old.finished is None:
            raise UsageError(f"{folder}: not finished")
        data = source.load(settings.data, method_class(name).takes, limit=settings.limit)
        found, _ = checkpoint.find(settings.model, None, weights=True)
        parent = Parent(name=settings.model, folder=str(found), digest=checkpoint.digest(found)[0])
        plain = identity(name, settings, fingerprint(data.records), parent, old.identity["processes"])
        check_same(folder, old, msgspec.structs.replace(old, identity=plain))

    def _check_chosen(self, records: Sequence[Critiqued]) -> None:
        held = source.load(str(self.critiqued), Critiqued).records
        if fingerprint(held) != fingerprint(records):
            raise RunConflict(
                f"{self.critiqued} holds other feedback: data, limit, seed or feedback_share was another"
            )


def row_of(record: Critiqued) -> str:
    """The id of the row that holds the answer: a pair has two."""
    row, slash, side = record.id.rpartition("/")
    return row if slash and side in ("chosen", "rejected") else record.id


def chosen(settings: LLFSettings) -> list[Critiqued]:
    """The language feedback that the feedback model learns from: that share of the first `limit` rows.

    Which rows, follows from the seed; a larger share holds all of a smaller one.
    """
    most = None if settings.limit is None else 2 * settings.limit
    records = source.load(settings.data, Critiqued, limit=most).records
    rows = list(dict.fromkeys(row_of(record) for record in records))[: settings.limit]
    rows.sort(key=lambda row: hashlib.sha256(f"{settings.seed}\0{row}".encode()).digest())
    kept = set(rows[: max(1, round(settings.feedback_share * len(rows)))])
    return [record for record in records if row_of(record) in kept]
