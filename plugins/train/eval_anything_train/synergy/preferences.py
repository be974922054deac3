"""Two answers to one instruction, and which of them goes together better: the scenes behind are known.

How well two modalities go together is what the offline judge `scene` says of them: how far the words name
what is seen or heard, and whether picture and recording are of what the instruction asks for.
"""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Literal, get_args

import msgspec

from eval_anything.judges.agreement import heard_alike, seen_alike, stated
from eval_anything.judges.scene import together
from eval_anything.synth.describe import article, heard, listed, look, objects_phrase, seen, sounds_phrase
from eval_anything.synth.parse import mentions
from eval_anything.synth.scene import PITCHES, Scene
from eval_anything.tasks.amg import twin
from eval_anything.tasks.amg.data import COMBINATIONS
from eval_anything_train.data.twin_answers import claims

PairName = Literal["text-image", "text-audio", "image-audio"]
PAIRS: tuple[PairName, ...] = get_args(PairName)
_LEAST = 0.1
"""Difference of two answers' synergy at least: nobody could tell smaller ones apart."""
_DRAWS = 1000


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer as far as it is looked at."""

    text: str
    shown: Scene
    """What its picture shows; its objects alone count."""
    sounding: Scene
    """What its recording holds; its sounds alone count."""
    synergy: float
    """0..1: the truth."""


@dataclasses.dataclass(frozen=True)
class Preference:
    """Two answers of which the first goes together better."""

    pair: PairName
    prompt: str
    better: Answer
    worse: Answer


def draw(rng: Random, pair: PairName) -> Preference:
    """A preference about this pair of modalities."""
    for _ in range(_DRAWS):
        asked = request(rng)
        one, other = (_drawn(asked.scene, asked.text, pair, rng) for _ in range(2))
        if abs(one.synergy - other.synergy) >= _LEAST:
            better, worse = (one, other) if one.synergy > other.synergy else (other, one)
            return Preference(pair, asked.text, better, worse)
    raise AssertionError("answers that are alike a thousand times over")


def request(rng: Random) -> twin.Instruction:
    """An instruction of AMG's twin, with pitches of which it says nothing."""
    made = twin.instruction(rng.choice(COMBINATIONS), rng)
    return twin.Instruction(_pitched(made.scene, rng), made.text)


def _drawn(truth: Scene, prompt: str, pair: PairName, rng: Random) -> Answer:
    shown = changed(truth, rng, "drawn")
    sounding = changed(truth, rng, "heard")
    said = truth
    if "text" in pair:
        said = changed(shown if pair == "text-image" else sounding, rng, "both")
    text = told(said, rng) if "text" in pair else ""
    return answer(pair, prompt, text, shown, sounding)


def answer(pair: PairName, prompt: str, text: str, shown: Scene, sounding: Scene) -> Answer:
    """With how well the two modalities of `pair` go together."""
    return Answer(text, shown, sounding, _synergy(pair, prompt, text, shown, sounding))


def _synergy(pair: PairName, prompt: str, text: str, shown: Scene, sounding: Scene) -> float:
    image, audio = stated(msgspec.structs.replace(shown, video=False)), stated(sounding)
    match pair:
        case "text-image":
            return float(seen_alike(mentions(text).objects, image.objects))
        case "text-audio":
            return float(heard_alike(mentions(text).sounds, audio.sounds))
        case "image-audio":
            return float(together(mentions(prompt), image, audio))


def changed(scene: Scene, rng: Random, side: Literal["drawn", "heard", "both"]) -> Scene:
    """The scene with a few things otherwise, or another scene altogether."""
    if rng.random() < 0.15:
        other: Scene = request(rng).scene
        return other
    for manner in ("drawn", "heard") if side == "both" else (side,):
        scene = claims(scene, rng, rng.choice((0, 0, 1, 2)), "drawn" if manner == "drawn" else "heard")[0]
    return scene


def _pitched(scene: Scene, rng: Random) -> Scene:
    """With pitches of its own, of which no instruction speaks."""
    sounds = tuple(msgspec.structs.replace(sound, pitch=rng.choice(PITCHES)) for sound in scene.sounds)
    return msgspec.structs.replace(scene, sounds=sounds)


def told(said: Scene, rng: Random) -> str:
    """Words about what is seen and heard, in one of the ways in which models and people write them."""
    whole, sounds = objects_phrase(said), sounds_phrase(said.sounds)
    looks = listed([article(look(obj)) for obj in said.objects])
    return rng.choice(
        (
            f"There is {whole}, and one hears {sounds}.",
            f"There is {looks}, and one hears {sounds}.",
            f"{seen(said, rng)} {heard(said, rng)}",
            f"{heard(said, rng)} {seen(said, rng)}",
            f"I see {looks} and hear {sounds}.",
            f"Here is what was asked for: {whole}. The sounds are {sounds}.",
        )
    )
