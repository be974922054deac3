"""Trainings that stand on one another, on records that are numbers: `train scenes`, `train synergy`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

import msgspec

from eval_anything.errors import DataError, RunConflict, UsageError
from eval_anything_train import loop
from eval_anything_train.checkpoint import sweep, write_file, write_folder
from eval_anything_train.llf.flow import free_memory
from eval_anything_train.methods.base import Training
from eval_anything_train.settings import ChainSettings, Link, Recipe, Settings
from eval_anything_train.values import Prompt

L = TypeVar("L", bound=Link)
FINAL = "final"
_MANIFEST = "chain.json"
_CARRIER = "00-carrier"


class Numbers(Sequence[Prompt]):
    """Records that are numbers: what is learnt from them is drawn anew each time."""

    def __init__(self, name: str, size: int) -> None:
        """`name` begins their ids, which random states are made of."""
        self.name, self.size = name, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(self.size))]
        if not -self.size <= place < self.size:
            raise IndexError(place)
        return Prompt(id=f"{self.name}/{place % self.size}", messages=())


def read_recipe(path: Path, stage: type[L]) -> Recipe[L]:
    """The recipe of such stages in a YAML file. Raises UsageError naming the field that is wrong."""
    import yaml

    try:
        found: Recipe[L] = msgspec.convert(
            yaml.safe_load(path.read_text(encoding="utf-8")),
            Recipe[stage],  # type: ignore[valid-type]
        )
        return found
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as fault:
        raise UsageError(f"{path}: not a recipe: {fault}") from None


class Chain(Generic[L]):
    """The folder of a chain: `00-carrier`, a training run for each stage, `final`, examinations."""

    def __init__(self, settings: ChainSettings, own: Path, stage: type[L], stream: TextIO | None) -> None:
        """`own`: the recipe where the settings name none. Raises UsageError for one that cannot be read, and
        RunConflict where the folder holds the work of another recipe or seed, or anything else."""
        self.settings, self.stream = settings, stream
        self.recipe = read_recipe(Path(settings.recipe) if settings.recipe else own, stage)
        self.out = Path(settings.out)
        sweep(self.out)
        path = self.out / _MANIFEST
        wanted = {"seed": settings.seed, "recipe": msgspec.to_builtins(self.recipe)}
        if path.is_file():
            if _read(path) != msgspec.json.decode(msgspec.json.encode(wanted)):
                raise RunConflict(
                    f"{self.out} holds the work of another recipe or seed: choose another --out"
                )
        elif self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise RunConflict(f"{self.out} exists and is no work of this command: choose another --out")
        else:
            self.out.mkdir(parents=True, exist_ok=True)
            write_file(path, msgspec.json.format(msgspec.json.encode(wanted), indent=2))

    @property
    def final(self) -> Path:
        return self.out / FINAL

    def carrier(self, build: Callable[[Path], None]) -> Path:
        """What training begins with, built if it is not there."""
        return self._whole(self.out / _CARRIER, build)

    def finish(self, build: Callable[[Path], None]) -> Path:
        """What comes of it all."""
        return self._whole(self.final, build)

    def train(self, parent: Path, method: Callable[[Settings, L], Training[Any, Any]]) -> Path:
        """The checkpoint that all stages make of `parent`, one on another; `method` says what a stage trains
        by. What is finished is not done again, an unfinished training is gone on with."""
        for number, stage in enumerate(self.recipe.stages, 1):
            parent = self._train(number, stage, parent, method)
        return parent

    def _train(
        self, number: int, link: L, parent: Path, method: Callable[[Settings, L], Training[Any, Any]]
    ) -> Path:
        out = self.out / f"{number:02d}-{link.name}"
        if (out / FINAL).is_dir():
            return out / FINAL
        self.say(f"stage {link.name}")
        shared = ("seed", "device", "workers", "encode_in", "save_every", "keep", "log_every")
        told = ("batch_size", "lr", "warmup", "schedule", "optimizer", "weight_decay", "betas")
        own = Settings(
            model=str(parent),
            data=link.method,
            out=str(out),
            epochs=1,
            dtype="float32",  # small models gain nothing by bfloat16
            **{name: getattr(self.settings, name) for name in shared},
            **{name: getattr(link, name) for name in told},
        )
        records = Numbers(f"{self.settings.seed}/{link.name}", link.rows)
        folder = loop.train(method(own, link), records, own, stream=self.stream).folder
        free_memory()
        return folder

    def examine(self, size: int, ask: Callable[[Path], tuple[msgspec.Struct, str]]) -> str:
        """What to tell of an examination with `size` questions: `ask`, given a folder for what it needs,
        gives a report and its table, which are kept there."""
        self.say("examination")
        folder = self.out / f"exam-{self.settings.exam_seed}-{size}"
        folder.mkdir(exist_ok=True)
        report, table = ask(folder)
        write_file(folder / "report.json", msgspec.json.format(msgspec.json.encode(report), indent=1))
        write_file(folder / "report.md", f"{table}\n".encode())
        return f"\n{table}\n\nin {folder / 'report.md'}"

    def say(self, line: str) -> None:
        if self.stream is not None:
            print(line, file=self.stream, flush=True)

    @staticmethod
    def _whole(folder: Path, build: Callable[[Path], None]) -> Path:
        if not folder.is_dir():
            write_folder(folder, build)
        return folder


def _read(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except msgspec.MsgspecError as fault:
        raise DataError(f"{path}: {fault}") from None
