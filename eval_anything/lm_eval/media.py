"""Images and sounds of lm-evaluation-harness's multimodal tasks, as parts of messages where they belong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL.Image

from eval_anything.errors import MediaError, UsageError
from eval_anything.media.convert import as_rgb, write_png, write_wav
from eval_anything.media.store import ArtifactStore
from eval_anything.values import MediaPart, Message, Modality, Part, Text

KINDS: dict[str, Modality] = {"visual": "image", "audio": "audio"}
"""What a request's arguments call them."""
_MARKS: dict[str, Modality] = {"<image>": "image", "<audio>": "audio"}
"""What stands in a task's text where a medium belongs."""
_MARK = re.compile("|".join(_MARKS))


def given(arguments: Mapping[str, Any]) -> dict[Modality, list[Any]]:
    """The media of one request, as the data set has them, by modality; those that a row leaves empty are not
    there."""
    found: dict[Modality, list[Any]] = {}
    for name, modality in KINDS.items():
        media = arguments.get(name)
        media = media if isinstance(media, list | tuple) else [media]
        if held := [medium for medium in media if medium is not None]:
            found[modality] = held
    return found


def placed(
    turns: Sequence[Message], media: Mapping[Modality, Sequence[Any]], store: ArtifactStore
) -> tuple[Message, ...]:
    """`turns` with the media where their marks stand; before the last of the user's words, where none stands.

    Raises UsageError where marks and media do not fit together, MediaError for a medium that is none.
    """
    waiting: dict[Modality, Iterator[MediaPart]] = {
        modality: iter([store.part(_kept(store, one, modality)) for one in found])
        for modality, found in media.items()
    }
    placed = [Message(turn.role, tuple(_parts(turn, waiting))) for turn in turns]
    left = [part for each in waiting.values() for part in each]
    if not left:
        return tuple(placed)
    if any(modality != "text" for turn in turns for modality in _marked(turn, media)):
        raise UsageError(f"a task's text has marks for fewer media than it brings ({len(left)} more)")
    last = max(n for n, turn in enumerate(placed) if turn.role == "user")
    placed[last] = Message("user", (*left, *placed[last].parts))
    return tuple(placed)


def _marked(turn: Message, media: Mapping[Modality, Sequence[Any]]) -> Iterator[Modality]:
    text = "".join(part.text for part in turn.parts if isinstance(part, Text))
    yield from (_MARKS[mark] for mark in _MARK.findall(text) if _MARKS[mark] in media)


def _parts(turn: Message, waiting: Mapping[Modality, Iterator[MediaPart]]) -> Iterator[Part]:
    for part in turn.parts:
        if not isinstance(part, Text):
            yield part
            continue
        start = 0
        for mark in _MARK.finditer(part.text):
            modality = _MARKS[mark[0]]
            if modality not in waiting:  # words that look like a mark
                continue
            if words := part.text[start : mark.start()]:
                yield Text(words)
            medium = next(waiting[modality], None)
            if medium is None:
                raise UsageError(f"a task's text has more marks {mark[0]} than it brings media")
            yield medium
            start = mark.end()
        if words := part.text[start:]:
            yield Text(words)


def _kept(store: ArtifactStore, medium: Any, modality: Modality) -> Any:
    """A medium as `datasets` gives it, in the store: decoded ones without loss, files as they are."""
    match medium:
        case PIL.Image.Image():
            return store.add_bytes(write_png(as_rgb(medium)), modality)
        case {"bytes": bytes(data)}:
            return store.add_bytes(data, modality)
        case {"array": samples, "sampling_rate": rate}:
            return store.add_bytes(_wav(samples, rate), modality)
        case {"path": str(name)} | str(name):
            path = Path(name)
            return store.add_file(path, modality, inside=path.parent)
    if hasattr(medium, "get_all_samples"):  # torchcodec's decoder, which newer `datasets` gives
        heard = medium.get_all_samples()
        return store.add_bytes(_wav(heard.data.T, heard.sample_rate), modality)
    raise MediaError(f"a task's {modality} is a {type(medium).__name__}, which is not known to hold one")


def _wav(samples: Any, rate: int) -> bytes:
    import numpy as np

    return write_wav(np.asarray(samples, dtype=np.float32), int(rate))
