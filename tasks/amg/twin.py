"""The synthetic twins of AMG's data sets: the benchmark's own files, made from scenes whose truth is known.

Instructions are in the vocabulary of scenes, so that the synthetic generators can make what is asked, and the
answers to the questions follow from the prompt alone. What a prompt leaves open is never asked about.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from eval_anything.errors import UsageError
from eval_anything.synth.describe import article, listed, look, objects_phrase, sounds_phrase
from eval_anything.synth.home import write_whole
from eval_anything.synth.question_families import About
from eval_anything.synth.questions import Question, ask, choices_text
from eval_anything.synth.scene import Scene, draw_objects, draw_sounds, scene
from eval_anything.tasks.amg.data import COMBINATIONS, JSONL, PARQUET, instruction_file
from eval_anything.values import Modality

SIZE = 100
"""As many prompts as each of AMG's data sets has."""
VOTERS = 25
_AGREE = 0.6
"""How often a voter chooses what the wording asks for; otherwise one modality more or one less."""
_REQUESTS = {
    "t": ("Tell me about it in words.", "Words alone will do: tell me about it."),
    "i": ("All I want is a picture of it.", "Draw it for me, that is enough."),
    "a": ("All I want is to hear it.", "Let me listen to it, that is enough."),
    "ta": ("Tell me about it in words and let me hear it.", "Let me listen to it and explain it in words."),
    "ti": ("Tell me about it in words and show me a picture.", "Draw it and explain it in words."),
    "ia": ("A picture and a recording of it are all I want.", "Draw it and let me hear it."),
    "tia": (
        "Tell me about it in words, show me a picture, and let me hear it.",
        "Draw it, let me listen to it, and explain it in words.",
    ),
}
"""By the combination that the wording asks for."""


def write_instructions(out: Path, modality: Modality, n: int | None, seed: int) -> None:
    """Write the prompts of one modality (default SIZE of them) to `out`, in the benchmark's layout.

    Same n and seed, same bytes. Raises UsageError for n < 1, DataError where `out` holds something else.
    """
    rows = [row for i in range(_size(n)) for row in _rows(modality, i, seed)]
    file = instruction_file(modality)

    def fill(folder: Path) -> None:
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))

    write_whole(out, fill, (file,))


def write_selection(out: Path, n: int | None, seed: int) -> None:
    """Write the instructions and votes of selection and synergy to `out`: JSON lines, and parquet as well
    where pyarrow is installed.

    Same n and seed, same bytes (of the parquet file: with one version of pyarrow).
    """
    rows = _instructions(_size(n), seed)

    def fill(folder: Path) -> None:
        (folder / JSONL).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        _write_parquet(folder / PARQUET, rows)

    write_whole(out, fill, (JSONL,))


def prompt_scene(modality: Modality, i: int, seed: int) -> Scene:
    """What prompt `i` asks for: the scene behind its questions."""
    return draw(modality, Random(f"scene {modality} {seed} {i}"))


def draw(modality: Modality, rng: Random) -> Scene:
    """A scene for a prompt of this modality to ask for."""
    if modality == "audio":
        return Scene(objects=(), sounds=draw_sounds(rng, rng.randint(2, 5)))
    if modality == "text":
        return scene(rng, objects=rng.randint(1, 3), sounds=rng.randint(1, 3))
    return Scene(draw_objects(rng, rng.randint(1, 3), video=modality == "video"), (), modality == "video")


def _rows(modality: Modality, i: int, seed: int) -> Iterable[dict[str, Any]]:
    """The rows of one prompt: one, or one for each of its questions."""
    drawn, rng = prompt_scene(modality, i, seed), Random(f"words {modality} {seed} {i}")
    key = {"prompt_id": f"{modality}-{i + 1:04d}", "prompt": PROMPTS[modality](drawn, rng)}
    if modality in ("text", "image"):
        return [key]
    about: About = "audio" if modality == "audio" else "video"
    questions = _questions(drawn, rng, about, rng.randint(2, 5))
    return [
        {
            **key,
            "question_id": f"{key['prompt_id']}-{number}",
            "question": question.text,
            "choice": choices_text(question.choices),
            "answer": question.answer,
        }
        for number, question in enumerate(questions, 1)
    ]


def _questions(drawn: Scene, rng: Random, about: About, n: int) -> list[Question]:
    """`n` different questions, or fewer where the scene gives no more."""
    found: dict[str, Question] = {}
    for _ in range(20 * n):
        question = ask(drawn, rng, about=about)
        found.setdefault(question.text, question)
        if len(found) == n:
            break
    return list(found.values())


def _text_prompt(drawn: Scene, rng: Random) -> str:
    looks = listed([article(look(obj)) for obj in drawn.objects])
    heard = sounds_phrase(drawn.sounds)
    return rng.choice(
        (
            f"Describe in one or two sentences a picture that shows {objects_phrase(drawn)}.",
            f"Write two sentences about {looks}, and name each of them.",
            f"Write a short story in which one hears {heard}.",
            f"Write a very short poem about {looks} and {heard}.",
            f"Explain to a child what it is like to see {looks} and to hear {heard}.",
        )
    )


def _image_prompt(drawn: Scene, rng: Random) -> str:
    shown = objects_phrase(drawn)
    return rng.choice(
        (
            f"Draw a picture of {shown}.",
            f"Please make an image that shows {shown}, and nothing else.",
            f"I would like to have a picture with {shown}.",
        )
    )


def _audio_prompt(drawn: Scene, rng: Random) -> str:
    heard = sounds_phrase(drawn.sounds)
    return rng.choice(
        (
            f"Make a recording of {heard}.",
            f"Please make an audio clip that has {heard}, and nothing else.",
            f"I would like to hear {sounds_phrase(drawn.sounds, then='followed by')}.",
        )
    )


def _video_prompt(drawn: Scene, rng: Random) -> str:
    shown = objects_phrase(drawn)
    return rng.choice(
        (
            f"Make a short video of {shown}.",
            f"Please make a video that shows {shown}, and nothing else.",
            f"I would like to see a clip with {shown}.",
        )
    )


PROMPTS: dict[Modality, Callable[[Scene, Random], str]] = {
    "text": _text_prompt,
    "image": _image_prompt,
    "audio": _audio_prompt,
    "video": _video_prompt,
}
"""What asks for a scene in each modality."""


def _instructions(size: int, seed: int) -> list[dict[str, Any]]:
    """Rows about something that can be told, seen and heard; the wording says which of these is wanted."""
    order, n = Random(f"order {seed}"), len(COMBINATIONS)
    wanted = [c for _ in range(0, size, n) for c in order.sample(COMBINATIONS, n)]
    rows: dict[str, dict[str, Any]] = {}
    draw = 0
    while len(rows) < size:
        rng = Random(f"instruction {seed} {draw}")
        draw += 1
        combination = wanted[len(rows)]
        text = instruction(combination, rng).text
        uid = hashlib.sha256(json.dumps(text).encode()).hexdigest()
        votes = _votes(combination, rng)
        rows.setdefault(uid, {"instruction_uid": uid, "instruction": text, "selection": votes})
    return list(rows.values())


class Instruction(NamedTuple):
    """A request about something that can be told, seen and heard."""

    scene: Scene
    text: str


def instruction(wanted: str, rng: Random) -> Instruction:
    """A request whose wording asks for the combination `wanted` ("ti")."""
    drawn = scene(rng, objects=rng.randint(1, 3), sounds=rng.randint(1, 3))
    return Instruction(drawn, worded(drawn, wanted, rng))


def worded(drawn: Scene, wanted: str, rng: Random) -> str:
    """A request about this scene whose wording asks for the combination `wanted`."""
    shown, heard = objects_phrase(drawn), sounds_phrase(drawn.sounds)
    setting = rng.choice(
        (
            f"Imagine a place with {shown}, where one hears {heard}.",
            f"There is a game that shows {shown} and plays {heard}.",
            f"In a dream I saw {shown}, and I heard {heard}.",
        )
    )
    return f"{setting} {rng.choice(_REQUESTS[wanted])}"


def _votes(wanted: str, rng: Random) -> dict[str, float]:
    """Shares of VOTERS, most of whom choose what the wording asks for and the others nearly that."""
    near = [c for c in COMBINATIONS if len(set(c) ^ set(wanted)) == 1]
    votes = Counter(wanted if rng.random() < _AGREE else rng.choice(near) for _ in range(VOTERS))
    return {c: votes[c] / VOTERS for c in COMBINATIONS}


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return  # the JSON lines beside it hold the same rows
    share = pyarrow.struct([(name, pyarrow.float64()) for name in COMBINATIONS])
    columns = [("instruction_uid", pyarrow.string()), ("instruction", pyarrow.string()), ("selection", share)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(columns)), path)


def _size(n: int | None) -> int:
    size = SIZE if n is None else n
    if size < 1:
        raise UsageError(f"a synthetic twin needs at least 1 item, not {size}")
    return size
