"""A stage before preferences: the language model learns words, and what of them is seen or heard.

The published judge's language model has read the web before; this one has read nothing. Heads that are
thrown away tell of each thing that is named how far it is there, of each medium how far it is what was asked
for, and at the end how far all goes together; of answers without mistakes the words themselves are learnt.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import groupby
from random import Random
from typing import Any, cast

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from eval_anything.judges.agreement import details, heard_alike, seen_alike, stated
from eval_anything.synth.describe import plural
from eval_anything.synth.parse import Mentions, mentions
from eval_anything.synth.scene import SHAPES, TIMBRES, Scene
from eval_anything.tasks.amg import twin
from eval_anything.tasks.amg.data import COMBINATIONS
from eval_anything_train.collate import Batch
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.synergy import preferences
from eval_anything_train.synergy.judge import PAIR_OF, Judge, Shown, padded
from eval_anything_train.synergy.media import Media
from eval_anything_train.synergy.prefer import read
from eval_anything_train.synergy.preferences import PairName
from eval_anything_train.values import Prompt

_ANSWERS: tuple[PairName, ...] = (
    *("text-image", "text-image", "text-image"),
    *("text-audio", "text-audio", "text-audio"),
    *("image-audio", "image-audio"),
)
"""About one picture and one recording."""
_TRUE = 0.4
"""Share of answers whose words are just what is seen and heard."""
TOLD = ("named", "asked", "together")
"""What the heads tell: how far something named is there, a medium is as asked, all goes together."""


@dataclasses.dataclass(frozen=True)
class Read:
    """One answer, with what is known of its tokens."""

    shown: Shown
    told: tuple[tuple[int, int, float], ...]
    """Token, index in TOLD, 0..1."""
    true: bool
    """Whether its words are without mistakes."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Answers about one picture and one recording."""

    id: str
    answers: tuple[Read, ...]


class Reader(nn.Module):
    """The judge with the heads."""

    def __init__(self, judge: Any) -> None:
        super().__init__()
        self.judge = judge
        self.heads = nn.Linear(judge.config.language().hidden_size, len(TOLD))


class Reading(Method[Prompt, Group]):
    """Cross-entropy of what the heads tell, and of true words."""

    name = "reading"
    takes = Prompt

    def __init__(self, judge: Judge, settings: Any, words: float) -> None:
        """`words`: weight of the words' cross-entropy."""
        super().__init__(cast(Any, judge), settings)
        self.judge, self.words = judge, words
        self.media = Media()
        judge.model.modality_tower.requires_grad_(False)
        judge.model.score_head.requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = Reader(judge.model)

    def identity(self) -> dict[str, Any]:
        return {"words": self.words}

    def trained(self) -> nn.Module:
        return self.model

    def encode(self, record: Prompt) -> Group:
        rng = Random(record.id)
        base = preferences.request(rng).scene
        shown, sounding = (preferences.changed(base, rng, side) for side in ("drawn", "heard"))
        return Group(record.id, tuple(self._answer(pair, shown, sounding, rng) for pair in _ANSWERS))

    def _answer(self, pair: PairName, shown: Scene, sounding: Scene, rng: Random) -> Read:
        there = Scene(shown.objects, sounding.sounds)
        asked = preferences.changed(there, rng, "both")
        prompt = twin.worded(asked, rng.choice(COMBINATIONS), rng)
        true = rng.random() < _TRUE
        text = ""
        if "text" in pair:
            text = preferences.told(there if true else preferences.changed(there, rng, "both"), rng)
        answer = preferences.answer(pair, prompt, text, shown, sounding)
        row = self.judge.shown(prompt, answer, PAIR_OF[pair])
        return Read(row, self._told(pair, prompt, answer, row), true and bool(text))

    def _told(
        self, pair: PairName, prompt: str, answer: preferences.Answer, row: Shown
    ) -> tuple[tuple[int, int, float], ...]:
        image = stated(msgspec.structs.replace(answer.shown, video=False))
        audio = stated(answer.sounding)
        first = len(row.ids) - row.words
        told = [(len(row.ids) - 1, TOLD.index("together"), answer.synergy)]
        if answer.text:
            worth = _seen(answer.text, image) if pair == "text-image" else _heard(answer.text, audio)
            places = self.judge.tokens_at(answer.text, [end for end, _ in worth])
            told += [
                (first + at, TOLD.index("named"), value) for at, (_, value) in zip(places, worth, strict=True)
            ]
        asked = mentions(prompt)
        for place, (medium, _) in enumerate(row.media, first - len(row.media)):
            alike = (
                seen_alike(asked.objects, image.objects)
                if medium == "image"
                else heard_alike(asked.sounds, audio.sounds)
            )
            told.append((place, TOLD.index("asked"), alike))
        return tuple(told)

    def collate(self, items: Sequence[Group]) -> Batch:
        answers = [answer for item in items for answer in item.answers]
        rows = [answer.shown for answer in answers]
        inputs, said = padded(rows, self.judge.pad)
        said &= torch.tensor([answer.true for answer in answers])[:, None]
        inputs |= self.media.inputs([one for row in rows for one in row.media], Random(items[0].id))
        told = [(row, *one) for row, answer in enumerate(answers) for one in answer.told]
        labels = dict(
            zip(("row", "token", "kind", "value"), map(torch.tensor, zip(*told, strict=True)), strict=True)
        )
        return Batch(inputs=inputs, response=said, ids=tuple(item.id for item in items), labels=labels)

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        reader: Any = module
        states, _ = read(reader.judge, batch)
        labels = batch.labels
        logits = reader.heads(states)[labels["row"], labels["token"], labels["kind"]]
        each = binary_cross_entropy_with_logits(logits, labels["value"], reduction="none")
        losses, metrics = [], {}
        for kind, name in enumerate(TOLD):
            here = labels["kind"] == kind
            losses.append(each[here].mean())
            metrics[name] = (logits[here].sigmoid() - labels["value"][here]).abs().mean().detach()
        said = batch.response[:, 1:]
        embeddings = reader.judge.language_model.embed_tokens.weight
        words = cross_entropy(states[:, :-1][said] @ embeddings.T, batch.inputs["input_ids"][:, 1:][said])
        metrics["words"] = words.detach()
        return torch.stack(losses).sum() + self.words * words, metrics

    def save(self, module: nn.Module, folder: Any) -> None:
        self.judge.save(folder)


def _seen(text: str, image: Mentions) -> list[tuple[int, float]]:
    """Of each object that is named: where its noun ends, and how far there is such an object."""
    ends = [match.end() for match in _SHAPE.finditer(text)]
    worth = [
        max((0.5 + 0.5 * details(named, o) for o in image.objects if o.shape == named.shape), default=0.0)
        for named in mentions(text).objects
    ]
    return list(zip(ends, worth, strict=True))


def _heard(text: str, audio: Mentions) -> list[tuple[int, float]]:
    """Of each run of sounds that is named: where its noun ends, and how many of them there are."""
    ends = [match.end() for match in _TIMBRE.finditer(text)]
    runs = [(timbre, len(list(some))) for timbre, some in groupby(s.timbre for s in mentions(text).sounds)]
    worth = [min(n, sum(s.timbre == timbre for s in audio.sounds)) / n for timbre, n in runs]
    return list(zip(ends, worth, strict=True))


def _nouns(words: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b{form}\b" for word in words for form in (word, plural(word, 2))), re.I)


_SHAPE, _TIMBRE = _nouns(SHAPES), _nouns(TIMBRES)
