"""The models that come with eval-anything: `embedded/omni`, trained on synthetic scenes, and
`embedded/omni-random`, built on first use and then kept."""

from __future__ import annotations

import fcntl
import functools
import tempfile
from pathlib import Path
from typing import Any

from eval_anything.errors import StorageError, UnknownName
from eval_anything.home import home
from eval_anything.models.hf import checkpoint, load
from eval_anything.models.hf.provider import HFModel
from eval_anything.shipped import shipped
from eval_anything.suggest import unknown

TRAINED, RANDOM = "omni", "omni-random"
NAMES = (TRAINED, RANDOM)
WEIGHTS = Path(__file__).parent / "weights" / TRAINED
_HASH_FILE = "checkpoint.sha256"
# Raised with each change of the recipe, so that an older checkpoint is not taken for the present one.
_RECIPE = 1


class EmbeddedModel(HFModel):
    """A small omni model (text, image, audio, video in; text out), trained on synthetic scenes or random."""

    def __init__(self, name: str, options: Any) -> None:
        if name not in NAMES:
            raise UnknownName(unknown("embedded model", name, NAMES))
        super().__init__(name, options)

    def folder(self, weights: bool) -> tuple[Path, str]:
        if self.name == TRAINED:
            return _whole_weights(), ""
        return ensure(home() / "models" / f"{self.name}-{_RECIPE}"), ""

    def identity(self) -> dict[str, Any]:
        if self.name == TRAINED:
            return super().identity()
        return {**super().identity(), "weights": "random", "recipe": _RECIPE}

    def notes(self) -> tuple[str, ...]:
        if self.name == TRAINED:
            own = "a toy of a few million weights that knows synthetic scenes and nothing else"
        else:
            own = "random weights: scores near the floor are expected"
        return (own, *super().notes())


@functools.cache
def _whole_weights() -> Path:
    return shipped(WEIGHTS, f"model embedded/{TRAINED}")


def ensure(folder: Path) -> Path:
    """The checkpoint in `folder`, built if it is absent or damaged; safe with several processes at once."""
    if _whole(folder):
        return folder
    load.libraries()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _whole(folder):
                _build(folder)
    except OSError as fault:
        raise StorageError(f"{folder}: the embedded model cannot be written: {fault}") from None
    return folder


def _build(folder: Path) -> None:
    from eval_anything.models.hf import omni_random

    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as temporary:
        built = Path(temporary) / "built"
        built.mkdir()
        omni_random.build(built)
        (built / _HASH_FILE).write_text(checkpoint.digest(built)[0])
        if folder.exists():
            folder.rename(Path(temporary) / "damaged")
        built.rename(folder)


def _whole(folder: Path) -> bool:
    try:
        return (folder / _HASH_FILE).read_text() == checkpoint.digest(folder)[0]
    except OSError:
        return False
