"""The answers of one stage: asked through the harness's own pipeline, read as trainers read them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

import eval_anything
from eval_anything.media.store import ArtifactStore
from eval_anything.values import Audio, File, Image, Params, Part, Sample, Text, Video, part_modality
from eval_anything_train.llf.settings import LLFSettings, Sampling
from eval_anything_train.llf.speakers import Speaker
from eval_anything_train.values import Answer, text_of


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    answer: Answer
    """Empty where there is none; media are files in the stage's own folder."""
    state: str

    @property
    def text(self) -> str:
        return text_of(self.answer)

    @property
    def given(self) -> bool:
        """Whether there is one at all, if an empty one."""
        return self.state in ("ok", "truncated")

    @property
    def usable(self) -> bool:
        return self.given and (self.text.strip() != "" or any(isinstance(p, File) for p in self.answer))


@dataclasses.dataclass(frozen=True)
class Answers:
    """All answers of a stage."""

    said: Mapping[str, Said]
    """By the ids of the prompts."""
    fingerprint: str
    """Of model, questions and settings."""

    def usable(self, id: str) -> bool:
        return id in self.said and self.said[id].usable

    @property
    def counts(self) -> dict[str, int]:
        """How many there are, by state; those that say nothing by themselves."""
        found = Counter("empty" if one.given and not one.usable else one.state for one in self.said.values())
        return {"asked": len(self.said), **dict(sorted(found.items()))}


@dataclasses.dataclass(frozen=True)
class Asking:
    """How one stage asks its model."""

    stage: str
    speaker: Speaker
    sampling: Sampling
    settings: LLFSettings
    folder: Path
    decides: Mapping[str, str]
    """What else decides the answers: hashes of templates."""

    def answers(self, samples: Iterable[Sample], *, ask: bool, progress: bool = False) -> Answers:
        """Those in `folder`; with `ask`, whatever is missing there is asked first.

        Raises as `eval_anything.respond` does.
        """
        settings = self.settings
        found = eval_anything.respond(
            self.speaker.spec,
            samples,
            out=self.folder,
            params=params(self.sampling),
            progress=progress,
            model_options=self.speaker.options,
            outputs=("text",) if self.stage == "critique" else settings.outputs,
            seed=stage_seed(settings.seed, self.stage),
            concurrency=settings.concurrency,
            cache=settings.cache or None,
            error_budget=settings.error_budget,
            identity={"stage": self.stage, **self.decides},
            ask=ask,
        )
        return Answers({one.sample.id: _said(one, found.store) for one in found}, found.fingerprint)


def params(sampling: Sampling) -> Params:
    penalty = sampling.repetition_penalty
    return Params(
        temperature=sampling.temperature,
        max_tokens=sampling.max_tokens,
        extra={} if penalty == 1 else {"repetition_penalty": penalty},
    )


def stage_seed(seed: int, stage: str) -> int:
    """Of a stage's draws, 31 bits: two stages must not draw alike."""
    digest = hashlib.sha256(f"{seed}\0{stage}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _said(one: eval_anything.Answered, store: ArtifactStore) -> Said:
    """Without what the model thought before it answered."""
    kept = [
        _kept(part, store) for part in one.response.parts if isinstance(part, Text | Image | Audio | Video)
    ]
    return Said(answer=tuple(kept), state=one.response.state)


def _kept(part: Part, store: ArtifactStore) -> Text | File:
    if isinstance(part, Image | Audio | Video):
        modality = part_modality(part)
        assert modality is not None
        return File(str(store.path(part.artifact).resolve()), modality)
    assert isinstance(part, Text)
    return part
