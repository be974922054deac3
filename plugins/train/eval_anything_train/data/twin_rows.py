"""Rows of the twin in align-anything's columns, by subtask; media inside of them, or beside them as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import msgspec

from eval_anything.synth import audio, image
from eval_anything_train.data import twin_answers
from eval_anything_train.data.twin_answers import Exchange, Reply
from eval_anything_train.data.twin_feedback import Dimensions

Row = dict[str, Any]
Pair = tuple[Reply, Reply]
"""As response 1 and 2."""
Keep = Callable[[str, bytes], str]
"""Writes a medium ("images/3.png", content) and gives the name by which a row may call it."""
Given = Callable[[int, Exchange, Keep], Row]
Made = Callable[[int, Pair, Keep], Row]

_SHARED = {"p": "prompt_following", "o": "objective_rules", "i": "information_richness", "s": "safety"}
_WORDS: Dimensions = {**_SHARED, "c": "clarity"}
_PICTURES: Dimensions = {**_SHARED, "a": "aesthetics"}
_BOTH: Dimensions = {**_SHARED, "ca": "ca", "c": "consistency"}


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows of a subtask are made."""

    exchange: Callable[[Random], Exchange]
    given: Given
    """Columns of the question."""
    made: Made
    """Columns of the replies."""
    dimensions: Dimensions
    models: str = "res_{n}_from"
    of: str = "response"
    """How the columns of winners end: overall_response, p_response."""
    critique: str = "text_critique_{n}"
    parquet: bool = True
    """Otherwise JSON, as on the hub."""


def inside(name: str, content: bytes) -> Row:
    """A medium as parquet holds it."""
    return {"bytes": content, "path": name}


def _question(number: int, exchange: Exchange, keep: Keep) -> Row:
    return {"question": exchange.question}


def _prompt(number: int, exchange: Exchange, keep: Keep) -> Row:
    return {"prompt": exchange.question}


def _picture(number: int, exchange: Exchange, keep: Keep) -> Row:
    return {"question": exchange.question, "image": inside(f"{number}.png", image.png(exchange.scene))}


def _picture_file(number: int, exchange: Exchange, keep: Keep) -> Row:
    name = keep(f"images/{number}.png", image.png(exchange.scene))
    return {"question": exchange.question, "image_url": name}


def _recording(number: int, exchange: Exchange, keep: Keep) -> Row:
    return {"prompt": exchange.question, "audio_path": inside(f"{number}.wav", audio.wav(exchange.scene))}


def _clip(number: int, exchange: Exchange, keep: Keep) -> Row:
    name = keep(f"videos/{number}.mp4", image.mp4(exchange.scene))
    return {"prompt": f"<video>{exchange.question}", "video_path": f"./{name}"}


def _words(number: int, pair: Pair, keep: Keep) -> Row:
    return {f"response_{n}": reply.text for n, reply in enumerate(pair, start=1)}


def _pictures(number: int, pair: Pair, keep: Keep) -> Row:
    return {
        f"image_{n}": inside(f"{number}-{n}.png", image.png(reply.scene))
        for n, reply in enumerate(pair, start=1)
    }


def _words_and_pictures(number: int, pair: Pair, keep: Keep) -> Row:
    names = {
        f"output_image_url_{n}": keep(f"images/{number}-{n}.png", image.png(reply.scene))
        for n, reply in enumerate(pair, start=1)
    }
    return {**_words(number, pair, keep), **names}


KINDS: Mapping[str, Kind] = {
    "t2t": Kind(exchange=twin_answers.in_words, given=_question, made=_words, dimensions=_WORDS),
    "ti2t": Kind(
        exchange=lambda rng: twin_answers.about("image", rng), given=_picture, made=_words, dimensions=_WORDS
    ),
    "ta2t": Kind(
        exchange=lambda rng: twin_answers.about("audio", rng),
        given=_recording,
        made=_words,
        dimensions=_WORDS,
    ),
    "tv2t": Kind(
        exchange=lambda rng: twin_answers.about("video", rng),
        given=_clip,
        made=_words,
        dimensions=_WORDS,
        models="model_{n}",
        parquet=False,
    ),
    "t2i": Kind(
        exchange=twin_answers.drawn,
        given=_prompt,
        made=_pictures,
        models="image_{n}_model",
        of="image",
        critique="image_critique_{n}",
        dimensions=_PICTURES,
    ),
    "ti2ti": Kind(
        exchange=twin_answers.edited,
        given=_picture_file,
        made=_words_and_pictures,
        dimensions=_BOTH,
        parquet=False,
    ),
}
"""By the short name of the subtask: all whose answers are words or pictures, which the plugin can train."""
