"""The synthetic twins of AIR-Bench: each half's own files, with recordings whose sounds are known.

The sounds are beeps and bells in every cell, whatever its name: what is asked about them has a known answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from eval_anything.errors import UsageError
from eval_anything.synth import audio
from eval_anything.synth.describe import ORDINALS, article, counted, heard, number, plural
from eval_anything.synth.home import write_whole
from eval_anything.synth.questions import LETTERS, ask
from eval_anything.synth.scene import Scene, draw_sounds
from eval_anything.tasks.air_bench.cells import CHAT, CHAT_ROWS, FOUNDATION, Cell
from eval_anything.tasks.air_bench.data import CHAT_HALF, FOUNDATION_HALF

CHAT_SIZE: Final = 88
"""A 25th of the benchmark's 2,200."""
FOUNDATION_SIZE: Final = 250
"""About ten a cell, a hundredth of the benchmark."""
_OPTIONS: Final = {"Speaker_Gender_Recognition": 2, "Synthesized_Voice_Detection": 2, "Sound_AQA": 3}
"""Tasks whose questions have fewer than four options."""
_MP3: Final = "common_voice"
_FLAC_TASK: Final = "Audio_Grounding"

Row = dict[str, Any]
Rows = Iterator[tuple[Row, Scene]]


def write_chat(out: Path, n: int | None, seed: int) -> None:
    """Write a twin of the chat half with `n` items (default CHAT_SIZE) to `out`.

    Same n and seed, same bytes (of MP3 and FLAC: with one build of the encoders). Raises UsageError for
    n < 1, DataError where `out` holds something else.
    """
    _write(out, CHAT_HALF.file, list(chat_rows(_size(n, CHAT_SIZE), seed)))


def write_foundation(out: Path, n: int | None, seed: int) -> None:
    """Write a twin of the foundation half with `n` questions (default FOUNDATION_SIZE) to `out`, likewise."""
    _write(out, FOUNDATION_HALF.file, list(foundation_rows(_size(n, FOUNDATION_SIZE), seed)))


def chat_rows(n: int, seed: int) -> Rows:
    """The rows of Chat_meta.json, each with what its recording holds; 2,200 have the published numbers."""
    weights = [CHAT_ROWS[cell.task] / sum(other.task == cell.task for other in CHAT) for cell in CHAT]
    for i, cell in enumerate(_dealt(CHAT, weights, n)):
        rng = Random(f"chat {seed} {i}")
        drawn = _recording(rng)
        question, answer = rng.choice(_ASKED)(drawn, rng)
        events = [
            {"event": sound.timbre, "pitch": sound.pitch, "position": position}
            for position, sound in enumerate(drawn.sounds, 1)
        ]
        yield (
            {
                "path": _name(cell, i),
                "task_name": cell.task,
                "dataset_name": cell.dataset,
                "question": question,
                "answer_gt": answer,
                "meta_info": msgspec.json.encode(events).decode(),
                "uniq_id": i,
            },
            drawn,
        )


def foundation_rows(n: int, seed: int) -> Rows:
    """The rows of Foundation_meta.json, likewise; 24,683 have the published numbers."""
    for i, cell in enumerate(_dealt(FOUNDATION, [cell.rows for cell in FOUNDATION], n)):
        rng = Random(f"foundation {seed} {i}")
        drawn = _recording(rng)
        posed = ask(drawn, rng, about="audio")
        answer = posed.choices[LETTERS.index(posed.answer)]
        kept = _OPTIONS.get(cell.task, len(LETTERS))
        wrong = rng.sample([choice for choice in posed.choices if choice != answer], kept - 1)
        shown: list[str | None] = [choice for choice in posed.choices if choice in (answer, *wrong)]
        shown += [None] * (len(LETTERS) - kept)
        yield (
            {
                "path": _name(cell, i),
                "question": posed.text,
                **{f"choice_{letter.lower()}": text for letter, text in zip(LETTERS, shown, strict=True)},
                "answer_gt": answer,
                "task_name": cell.task,
                "dataset_name": cell.dataset,
                "uniq_id": i,
            },
            drawn,
        )


def _size(n: int | None, default: int) -> int:
    if n is not None and n < 1:
        raise UsageError(f"a synthetic twin needs at least 1 item, not {n}")
    return default if n is None else n


def _dealt(cells: Sequence[Cell], weights: Sequence[float], n: int) -> Iterator[Cell]:
    """`n` cells: each once, then always the one that is furthest behind its share."""
    dealt = Counter[Cell]()
    total = sum(weights)
    for i in range(n):
        behind = [weight * (i + 1) / total - dealt[cell] for cell, weight in zip(cells, weights, strict=True)]
        cell = cells[i] if i < len(cells) else cells[behind.index(max(behind))]
        dealt[cell] += 1
        yield cell


def _recording(rng: Random) -> Scene:
    return Scene(objects=(), sounds=draw_sounds(rng, rng.randint(2, 5)))


def _name(cell: Cell, i: int) -> str:
    return f"{i:05d}.{'mp3' if cell.dataset.startswith(_MP3) else 'wav'}"


def _write(out: Path, file: str, rows: Sequence[tuple[Row, Scene]]) -> None:
    def fill(folder: Path) -> None:
        half = (folder / file).parent
        half.mkdir()
        (folder / file).write_bytes(
            msgspec.json.format(msgspec.json.encode([row for row, _ in rows]), indent=1)
        )
        for row, drawn in rows:
            place = half / f"{row['task_name']}_{row['dataset_name']}"
            place.mkdir(exist_ok=True)
            write_recording(place / row["path"], drawn, flac=row["task_name"] == _FLAC_TASK)

    write_whole(out, fill, (file,))


def write_recording(path: Path, drawn: Scene, *, flac: bool = False) -> None:
    """The recording of a scene, in the form that the name says; with `flac` as .flac in place of it."""
    if path.suffix == ".wav" and not flac:
        path.write_bytes(audio.wav(drawn))
        return
    import soundfile

    soundfile.write(path.with_suffix(".flac") if flac else path, audio.samples(drawn), audio.RATE)


def _order(drawn: Scene, rng: Random) -> tuple[str, str]:
    return "What can be heard in the recording, and in which order?", heard(drawn, rng)


def _count(drawn: Scene, rng: Random) -> tuple[str, str]:
    n = len(drawn.sounds)
    return "How many sounds can be heard?", f"{counted(n, 'sound').capitalize()} can be heard."


def _nth(drawn: Scene, rng: Random) -> tuple[str, str]:
    i = rng.randrange(len(drawn.sounds))
    timbre = drawn.sounds[i].timbre
    return f"Which sound is the {ORDINALS[i]} one?", f"The {ORDINALS[i]} sound is {article(timbre)}."


def _times(drawn: Scene, rng: Random) -> tuple[str, str]:
    timbre = rng.choice(drawn.sounds).timbre
    n = sum(sound.timbre == timbre for sound in drawn.sounds)
    return (
        f"How often does a {timbre} sound in the recording?",
        f"{number(n).capitalize()} {plural(timbre, n)} can be heard.",
    )


_ASKED: tuple[Callable[[Scene, Random], tuple[str, str]], ...] = (_order, _count, _nth, _times)
