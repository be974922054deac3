"""The judge's prompt: what is not ours is fenced, and media have labels where they stand.

The answer that is judged is hostile text, and so is whatever else the rubric calls untrusted. Each is pasted
between markers that carry a digest of all of it, so nothing in it can close them; and whatever in it looks
like a verdict is broken up, so that a judge that quotes it gives no second verdict.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from eval_anything.judge import Case, Rubric
from eval_anything.prompts import fill
from eval_anything.values import (
    Audio,
    File,
    Image,
    MediaPart,
    Message,
    Part,
    Response,
    Text,
    Video,
    part_modality,
)

_LOOKS_LIKE_VERDICT = re.compile(r"\[(?=\[)|\](?=\])")
"""A bracket directly before another of its kind; a space goes between them."""
_FENCE = {"response": "answer"}
"""Names of markers that are not those of their placeholders."""

Content = str | Sequence[Part]


class Prompt(NamedTuple):
    messages: tuple[Message, ...]
    changes: dict[str, Any]
    """What was changed in what is not ours so that it could be shown safely."""


def judge_prompt(rubric: Rubric, response: str, media: Sequence[MediaPart] = ()) -> Prompt:
    """The judge's messages about one answer; `media` follow the text, without labels."""
    untrusted = {name: rubric.values[name] for name in rubric.untrusted}
    return compose(rubric.system, rubric.user, rubric.values, {**untrusted, "response": response}, media)


def contents(case: Case) -> dict[str, Content]:
    """What a case holds of others' words and media, by placeholder: the answer (`response`, and `response_0`,
    `response_1` ... where the sample asks several requests), the question where its media are shown, and what
    the rubric calls untrusted."""
    rubric, response = case.rubric, case.response
    found: dict[str, Content] = {name: rubric.values[name] for name in rubric.untrusted}
    found["response"] = answer_parts(response, media=rubric.media)
    for i, answer in enumerate(response.answers):
        found[f"response_{i}"] = answer_parts(answer, media=rubric.media)
    if rubric.question_media:
        found["question"] = tuple(
            part for m in case.sample.messages for part in m.parts if isinstance(part, Text | MediaPart)
        )
    return found


def answer_parts(response: Response, *, media: bool) -> tuple[Part, ...]:
    """The answer's text and, with `media`, its media, in order."""
    kept = (Text, Image, Audio, Video) if media else (Text,)
    return tuple(part for part in response.parts if isinstance(part, kept))


def compose(
    system: str,
    user: str,
    values: Mapping[str, str],
    hostile: Mapping[str, Content],
    media: Sequence[MediaPart] = (),
) -> Prompt:
    """`user` filled with our `values` and the fenced `hostile` contents; no system turn where it is empty.

    Media among the contents are shown after the text, each behind its label, which also stands in its place
    between the markers. Placeholders that the template does not have are left out, media and all.
    """
    shown = {name: _Fenced(name, content) for name, content in hostile.items() if f"{{{name}}}" in user}
    # One digest over all of it: the answer, whose author saw the instruction, cannot know that marker either.
    digest = hashlib.sha256("\0".join([user, *(one.plain for one in shown.values())]).encode()).hexdigest()[
        :16
    ]
    text = fill(user, {**values, **{name: one.text(digest) for name, one in shown.items()}})
    labelled = [part for one in shown.values() for part in one.media(digest)]
    parts = (Text(text), *labelled, *media)
    broken_up = sum(one.broken_up for one in shown.values())
    turns = (Message("system", (Text(system),)),) if system else ()
    return Prompt((*turns, Message("user", parts)), {"brackets_separated": broken_up} if broken_up else {})


class _Fenced:
    """Others' words and media, to be shown between markers."""

    def __init__(self, name: str, content: Content) -> None:
        self.name = _FENCE.get(name, name)
        self.broken_up = 0
        parts = (Text(content),) if isinstance(content, str) else content
        self.pieces: list[str | MediaPart | File] = [
            self._safe(part.text) if isinstance(part, Text) else part
            for part in parts
            if isinstance(part, Text | MediaPart | File)
        ]
        self.plain = "\0".join(map(_plain, self.pieces))

    def _safe(self, text: str) -> str:
        safe, n = _LOOKS_LIKE_VERDICT.subn(lambda bracket: bracket.group() + " ", text)
        self.broken_up += n
        return safe

    def text(self, digest: str) -> str:
        labels = iter(self._labels(digest))
        inside = "\n".join(p if isinstance(p, str) else next(labels) for p in self.pieces)
        return f"<{self.name} {digest}>\n{inside}\n</{self.name} {digest}>"

    def media(self, digest: str) -> Iterable[Part]:
        labels = iter(self._labels(digest))
        for piece in self.pieces:
            if not isinstance(piece, str):
                yield Text(next(labels))
                yield piece

    def _labels(self, digest: str) -> list[str]:
        media = [piece for piece in self.pieces if not isinstance(piece, str)]
        return [f"<{self.name} {part_modality(m)} {i} {digest}/>" for i, m in enumerate(media, 1)]


def _plain(piece: str | MediaPart | File) -> str:
    """What stands for `piece` in the digest; of a file not yet stored, its name."""
    if isinstance(piece, str):
        return piece
    return PurePath(piece.path).name if isinstance(piece, File) else piece.artifact.sha256
