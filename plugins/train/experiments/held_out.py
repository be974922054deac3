"""`held_out`: questions of the preference data's twin about scenes that no training has seen, with the truth.

A task and its judge for `eval-anything run --include`. An answer to a question of one fact is right (1) or
not (0); a description is worth how far it names what is there, and nothing else (F1 over the scene's things).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated, Any

import msgspec

from eval_anything import Case, Dataset, DataSource, Judge, Means, Rubric, Task
from eval_anything.errors import DataError
from eval_anything.judges.agreement import heard_alike, seen_alike, stated
from eval_anything.records import revision_of
from eval_anything.synth import audio, image
from eval_anything.synth.home import write_whole
from eval_anything.synth.parse import mentions
from eval_anything.synth.question_families import FAMILIES, About
from eval_anything.synth.scene import Scene, scene
from eval_anything.values import File, Message, Params, Response, Sample, Score, Text
from eval_anything_train.data import twin_answers

FILE = "items.json"
SIZE = 300
_LEADS = ("it is", "the answer is", "i would say", "that would be", "clearly")
_KINDS: dict[About, Any] = {
    "image": (image.png, "png"),
    "video": (image.mp4, "mp4"),
    "audio": (audio.wav, "wav"),
}


class Item(msgspec.Struct, frozen=True):
    id: str
    question: str
    medium: str
    scene: Scene


class HeldOutOptions(msgspec.Struct, frozen=True):
    about: About = "video"
    """What the questions are about: image, video or audio."""
    temperature: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """At which answers are drawn; 0: the likeliest words."""


class HeldOut(Task):
    name = "held_out"
    version = "1"
    title = "Questions about held-out scenes"
    summary = "questions of the preference data's twin about unseen scenes, judged by the truth"
    inputs = ("text", "image", "video", "audio")
    data_kinds = ("synthetic",)
    protocol_judge = "truth"
    offline_judge = "truth"
    Options = HeldOutOptions

    def __init__(self, options: HeldOutOptions, prompts: Path | None = None) -> None:
        super().__init__(options, prompts)
        self.params = Params(temperature=options.temperature, max_tokens=128)

    def open(self, source: DataSource) -> Dataset:
        path = source.path / FILE
        try:
            items = msgspec.json.decode(path.read_bytes(), type=list[Item])
        except (OSError, msgspec.MsgspecError) as fault:
            raise DataError(f"{path}: {fault}") from None
        kept = [item for item in items if item.id.startswith(self.options.about)]
        return Dataset(
            kind=source.kind, root=source.path, revision=revision_of(kept), size=len(kept), records=kept
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for item in dataset.records:
            medium: About = self.options.about
            parts = (File(str(dataset.root / item.medium), medium), Text(item.question))
            yield Sample(
                id=item.id,
                messages=(Message("user", parts),),
                metadata={"scene": msgspec.to_builtins(item.scene), "about": medium},
                group="fact" if _truth(item.question, item.scene, medium) else "description",
            )

    def case(self, sample: Sample, response: Response) -> Case:
        rubric = Rubric(system="", user="{response}", low=0, high=1)
        return Case(sample=sample, response=response, rubric=rubric)

    def aggregation(self) -> Means:
        return Means(overall="faithful", groups=("fact", "description"), low=0, high=1)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        size = SIZE if n is None else n

        def fill(folder: Path) -> None:
            items = [_item(about, number, seed, folder) for about in _KINDS for number in range(size)]
            (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(items), indent=1))

        write_whole(out, fill, (FILE,))


def _item(about: About, number: int, seed: int, folder: Path) -> Item:
    rng = Random(f"held out {seed} {about} {number}")
    drawn = scene(rng, video=about == "video")
    _, question, _ = twin_answers.asked(drawn, about, rng)
    write, suffix = _KINDS[about]
    name = f"{about}-{number:04d}.{suffix}"
    (folder / name).write_bytes(write(drawn))
    return Item(f"{about}-{number:04d}", question, name, drawn)


class Truth(Judge):
    name = "truth"
    summary = "how far an answer is true of the scene that it was asked about"

    async def score(self, case: Case) -> Score:
        metadata = case.sample.metadata
        drawn = msgspec.convert(metadata["scene"], Scene)
        question = next(p.text for p in case.sample.messages[-1].parts if isinstance(p, Text))
        value = faithful(question, case.response.text, drawn, metadata["about"])
        return Score(value=value, state="scored", judge=self.label)


def faithful(question: str, answer: str, drawn: Scene, about: About) -> float:
    """0..1."""
    if (right := _truth(question, drawn, about)) is not None:
        return float(_fact(answer) in right)
    known, said = stated(drawn), mentions(answer)
    if about == "audio":
        return heard_alike([msgspec.structs.replace(s, pitch=None) for s in known.sounds], said.sounds)
    return seen_alike(known.objects, said.objects)


def _fact(answer: str) -> str:
    text = " ".join(answer.split()).rstrip(".").lower()
    for lead in _LEADS:
        text = re.sub(rf"^{lead} ", "", text)
    return text


def _truth(question: str, drawn: Scene, about: About) -> frozenset[str] | None:
    """The right answers to a question of one fact; None where all there is is asked for."""
    for family in FAMILIES[about]:
        if (match := family.pattern.fullmatch(question)) is not None:
            return family.truth(drawn, {name: word.lower() for name, word in match.groupdict().items()})
    return None
