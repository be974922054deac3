"""Pairs of LLF: the refined answer is preferred to the first one. Every text on the way is kept."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError, RunConflict
from eval_anything.stores.identity import differences
from eval_anything.values import Text
from eval_anything_train.checkpoint import sweep, write_folder
from eval_anything_train.data import schema
from eval_anything_train.feedback import read
from eval_anything_train.llf.answers import Said
from eval_anything_train.values import Answer, Pair, Prompt

PAIRS, DROPPED, MANIFEST = "pairs.jsonl", "dropped.jsonl", "manifest.json"


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt of which no pair was made."""

    id: str
    why: str
    response: str
    critique: str
    refined: str


@dataclasses.dataclass(frozen=True)
class Sources:
    """All that pairs are made of."""

    prompts: Sequence[Prompt]
    first: Mapping[str, Said]
    critiques: Mapping[str, Said] | None
    """None where nobody gave feedback."""
    refined: Mapping[str, Said]
    preferred: Collection[str] | None = None
    """Ids of which a judge prefers the refined answer; None: nobody was asked."""
    keep_truncated: bool = False
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Models and seeds, for the pairs' metadata."""

    def made(self) -> Iterator[Pair | Dropped]:
        """One for each prompt, in their order."""
        for prompt in self.prompts:
            why = self._why_not(prompt.id)
            yield self._dropped(prompt.id, why) if why else self._pair(prompt)

    def _why_not(self, id: str) -> str:
        """Why there can be no pair; empty where there can."""
        steps = [("answer", self.first), ("feedback", self.critiques), ("refined answer", self.refined)]
        for name, said in steps:
            if said is None:
                continue
            if id not in said or not said[id].given:
                return f"no {name}"
            if not said[id].usable:
                return f"empty {name}"
        first, refined = self.first[id], self.refined[id]
        if _content(first.answer) == _content(refined.answer):
            return "identical"
        if refined.state == "truncated" and not self.keep_truncated:
            return "truncated"
        return "not preferred" if self.preferred is not None and id not in self.preferred else ""

    def _pair(self, prompt: Prompt) -> Pair:
        critique = None if self.critiques is None else self.critiques[prompt.id]
        feedback = None if critique is None else read(critique.text)
        stages = {"respond": self.first, "critique": self.critiques, "refine": self.refined}
        states = {name: said[prompt.id].state for name, said in stages.items() if said is not None}
        return Pair(
            id=prompt.id,
            messages=prompt.messages,
            chosen=self.refined[prompt.id].answer,
            rejected=self.first[prompt.id].answer,
            feedback_rejected=feedback if feedback is not None and feedback.text else None,
            metadata={
                "from": "llf",
                **({} if critique is None else {"critique": critique.text}),
                "states": states,
                **self.origin,
                **({"prompt": prompt.metadata} if prompt.metadata else {}),
            },
        )

    def _dropped(self, id: str, why: str) -> Dropped:
        stages = (self.first, self.critiques or {}, self.refined)
        response, critique, refined = (said[id].text if id in said else "" for said in stages)
        return Dropped(id=id, why=why, response=response, critique=critique, refined=refined)


def _content(answer: Answer) -> list[str]:
    """What two answers are compared by: words without the spaces between, and media by their names, which are
    their hashes."""
    return [" ".join(p.text.split()) if isinstance(p, Text) else Path(p.path).name for p in answer]


class PairsManifest(msgspec.Struct, frozen=True, kw_only=True):
    identity: dict[str, Any]
    """What the pairs were made of."""
    counts: dict[str, int]
    """How many there are, and of how many prompts there is none, by reason."""


def make(folder: Path, sources: Sources, identity: Mapping[str, Any]) -> dict[str, int]:
    """Write the pairs into `folder`, whole or not at all; what is there already stays. Returns the counts.

    Raises RunConflict, showing the differences, where `folder` holds pairs made of something else, DataError
    where there is no pair, StorageError.
    """
    if (counts := held(folder, identity)) is not None:
        return counts
    found: Counter[str] = Counter(pairs=0)
    dropped: list[Dropped] = []

    def kept() -> Iterator[Pair]:
        for one in sources.made():
            if isinstance(one, Pair):
                found["pairs"] += 1
                yield one
            else:
                found[one.why] += 1
                dropped.append(one)

    def fill(partial: Path) -> None:
        schema.write(partial / PAIRS, kept())
        if not found["pairs"]:
            raise DataError(f"{folder}: no pair: {_told(found)} of {len(sources.prompts)} prompts")
        (partial / DROPPED).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in dropped))
        manifest = PairsManifest(identity=dict(identity), counts=dict(found))
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        (partial / MANIFEST).write_bytes(text + b"\n")

    if folder.parent.is_dir():
        sweep(folder.parent)
    write_folder(folder, fill)
    return dict(found)


def held(folder: Path, identity: Mapping[str, Any]) -> dict[str, int] | None:
    """The counts of the pairs in `folder`; None where there are none. Raises RunConflict as `make` does."""
    path = folder / MANIFEST
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise RunConflict(f"{folder} exists and holds no pairs of llf")
        return None
    try:
        old = msgspec.json.decode(path.read_bytes(), type=PairsManifest)
    except msgspec.MsgspecError as fault:
        raise DataError(f"{path}: damaged: {fault}") from None
    plain = msgspec.json.decode(msgspec.json.encode(dict(identity)))
    if lines := differences(old.identity, plain):
        raise RunConflict(f"{folder} holds pairs made of something else:\n  " + "\n  ".join(lines))
    return old.counts


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if name != "pairs")
