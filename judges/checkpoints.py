"""Where a reward model's checkpoint is: a local file or folder, or a repository of the hub at one commit."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Iterable
from pathlib import Path

from eval_anything.errors import UsageError
from eval_anything.models.base import local_path
from eval_anything.models.hf import checkpoint, load


def find(judge: str, name: str, revision: str | None, option: str = "model") -> tuple[Path, str]:
    """The folder of checkpoint `name`, and its commit where it is one of the hub ("" for a local folder).

    Raises UsageError where there is none. Weights of the hub are not fetched yet.
    """
    try:
        return checkpoint.find(name, revision, weights=False)
    except UsageError as fault:
        raise UsageError(f"judge {judge}, option {option}: {fault}") from None


def fetch(judge: str, name: str, commit: str, patterns: Iterable[str], licence: str) -> Path:
    """The folder with the files of a hub repository that match `patterns`.

    A line on standard error names the weights' licence before anything is fetched. Raises UsageError.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    _tell(f"weights from the hub: {name} at {commit}; licence: {licence}")
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=list(patterns)))
    except (HfHubHTTPError, OSError, ValueError) as fault:
        raise UsageError(
            f"judge {judge}, option model: no weights of {name} from the hub: {load.first_line(fault)}"
        ) from None


@functools.cache
def _tell(line: str) -> None:
    """Once in a process, though the forms of one checkpoint are asked for one after the other."""
    print(line, file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True)
class OneFile:
    """A checkpoint whose weights are one file: `stem` with `.safetensors`, or `.pt` as it is published."""

    judge: str
    model: str
    """The file, its folder, or a hub id."""
    revision: str | None
    stem: str
    config: str
    """The name of the file that describes the model; it may be absent."""
    licence: str

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.stem}.safetensors", f"{self.stem}.pt")

    def folder(self) -> Path:
        """Where the small files lie that belong to the weights; those of the hub are fetched."""
        place = local_path(self.model)
        if place is None:
            return find(self.judge, self.model, self.revision)[0]
        return place.parent if place.is_file() else place

    def check(self) -> None:
        """Raises UsageError where there is no such checkpoint. Nothing large is fetched."""
        if not self._local():
            find(self.judge, self.model, self.revision)

    def identity(self) -> dict[str, str]:
        """The hub's commit, or a hash over the weights and the file that describes them."""
        weights = self._local()
        if weights is None:
            return {"commit": find(self.judge, self.model, self.revision)[1]}
        described = weights.with_name(self.config)
        return {"checkpoint": checkpoint.digest_of([weights, *([described] if described.is_file() else [])])}

    def fetched(self) -> Path:
        """The file of the weights, from the hub where it is not a local one."""
        return self._local() or self._from_hub()

    def _local(self) -> Path | None:
        """None for a hub id. Raises UsageError for a folder without the weights."""
        place = local_path(self.model)
        if place is None or place.is_file():
            return place
        found = _first(place, self.names)
        if found is None:
            held = ", ".join(sorted(p.name for p in place.iterdir())[:5]) or "nothing"
            raise UsageError(
                f"judge {self.judge}, option model: {place}: weights are missing: "
                f"expected {' or '.join(self.names)} (the folder holds {held})"
            )
        return found

    def _from_hub(self) -> Path:
        commit = find(self.judge, self.model, self.revision)[1]
        for name in self.names:
            patterns = (name, self.config)
            found = _first(fetch(self.judge, self.model, commit, patterns, self.licence), (name,))
            if found is not None:
                return found
        raise UsageError(
            f"judge {self.judge}, option model: {self.model} at {commit} holds neither "
            f"{' nor '.join(self.names)}"
        )


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
