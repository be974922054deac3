"""The synthetic twin of AMU: the benchmark's own files, made from scenes whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.media.archive import write_tar_gz
from eval_anything.synth import audio, image
from eval_anything.synth.home import write_whole
from eval_anything.tasks.amu.answerer import Truth
from eval_anything.tasks.amu.data import DIMENSIONS
from eval_anything.tasks.amu.twin_instructions import INSTRUCTIONS
from eval_anything.tasks.amu.twin_perception import PERCEPTION, PERCEPTION_VIDEO
from eval_anything.tasks.amu.twin_question import Question, annotate
from eval_anything.tasks.amu.twin_reasoning import REASONING
from eval_anything.tasks.amu.twin_safety import safety

SIZE = 164
"""As many items as AMU has."""
SHARES = dict(zip(DIMENSIONS, (104, 30, 10, 20), strict=True))
"""Items of each dimension among SIZE, as they follow from the granularity of the published scores."""
EARLY = 8
"""So many first items already hold every dimension (a quick look with --limit shows all of them)."""
CONFIG, TRUTH = "config.json", "truth.json"


def write_twin(out: Path, n: int | None, seed: int) -> None:
    """Write a twin of `n` items (default SIZE) to `out`: AMU's three files, and the truth behind them.

    Same n and seed, same bytes (of the clips: with one build of the video encoder). `out` is whole or not
    there; a folder that holds the same twin already is left as it is. Raises UsageError for n < 1, DataError
    where `out` holds something else, StorageError where it cannot be written.
    """
    size = SIZE if n is None else n
    if size < 1:
        raise UsageError(f"a synthetic twin needs at least 1 item, not {size}")
    questions = dict(_questions(size, seed))
    write_whole(out, lambda folder: _write(folder, questions, seed), (CONFIG, TRUTH))


def read_truth(folder: Path) -> dict[str, Truth]:
    """What `truth.json` of a twin says, by question_id."""
    return msgspec.json.decode((folder / TRUTH).read_bytes(), type=dict[str, Truth])


def _write(folder: Path, questions: dict[str, tuple[str, Question]], seed: int) -> None:
    records = [_record(key, dimension, q, seed) for key, (dimension, q) in questions.items()]
    truths = {key: q.truth for key, (_, q) in questions.items()}
    (folder / CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=1))
    (folder / TRUTH).write_bytes(msgspec.json.format(msgspec.json.encode(truths), indent=1))
    scenes = [(key, q.scene) for key, (_, q) in questions.items()]
    pictures = ((_visual(key, s.video), image.mp4(s) if s.video else image.png(s)) for key, s in scenes)
    write_tar_gz(folder / "visual.tar.gz", pictures)
    write_tar_gz(folder / "auditory.tar.gz", ((_auditory(key), audio.wav(s)) for key, s in scenes))


def _record(key: str, dimension: str, question: Question, seed: int) -> dict[str, Any]:
    return {
        "question_id": key,
        "question": question.text,
        "visual_modality_path": _visual(key, question.scene.video),
        "auditory_modality_path": _auditory(key),
        "evaluation_dimension": dimension,
        "annotations": annotate(question, Random(f"annotations {seed} {key}")),
    }


def _visual(key: str, video: bool) -> str:
    return f"visual/{key}.{'mp4' if video else 'png'}"


def _auditory(key: str) -> str:
    return f"auditory/{key}.wav"


def _questions(size: int, seed: int) -> Iterator[tuple[str, tuple[str, Question]]]:
    """Every item's id, dimension and question; the families of a dimension take turns."""
    turns = dict.fromkeys(DIMENSIONS, 0)
    clips = _clips(size, Random(f"clips {seed}"))
    for i, dimension in enumerate(_order(size, Random(f"order {seed}"))):
        rng = Random(f"item {seed} {i}")
        yield f"twin-{i + 1:04d}", (dimension, _question(dimension, turns[dimension], rng, clips[i]))
        turns[dimension] += 1


def _question(dimension: str, turn: int, rng: Random, video: bool) -> Question:
    if dimension == "safety":
        return safety(rng, video, danger=turn % 2 == 0)
    families = {
        "perception": PERCEPTION_VIDEO if video else PERCEPTION,
        "reasoning": REASONING,
        "instruction-following": INSTRUCTIONS,
    }[dimension]
    return families[turn % len(families)](rng, video)


def _clips(size: int, rng: Random) -> list[bool]:
    """Of every three items one has a clip, so that any prefix of three or more has both kinds."""
    return [video for _ in range(0, size, 3) for video in rng.sample((True, False, False), 3)]


def _order(size: int, rng: Random) -> list[str]:
    """The dimension of each item: the shares of AMU, every dimension among the first EARLY."""
    wanted = {name: max(1, round(size * share / SIZE)) for name, share in SHARES.items()}
    wanted["perception"] = max(1, size - sum(wanted.values()) + wanted["perception"])
    rest = [name for name, n in wanted.items() for _ in range(n - 1)]
    rng.shuffle(rest)
    early = [*DIMENSIONS, *rest[: EARLY - len(DIMENSIONS)]]
    rng.shuffle(early)
    return [*early, *rest[EARLY - len(DIMENSIONS) :]][:size]
