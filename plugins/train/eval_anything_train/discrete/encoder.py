"""Answers of text and images as tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from eval_anything.errors import DataError, MediaError
from eval_anything.models.hf.load import Opened
from eval_anything.values import File, Modality, Text
from eval_anything_train.discrete.coder import ImageCoder
from eval_anything_train.encode import Encoder, Piece
from eval_anything_train.values import Answer


class ImageEncoder(Encoder):
    """An image is its codes between two marks. The first one is the model's: it says when an image begins.
    The second one is given to it, after as many codes as each image has.
    """

    makes: ClassVar[tuple[Modality, ...]] = ("text", "image")
    on_request: ClassVar[bool] = False
    """Whether prompts for an image end with the first mark; an answer of one image is then its codes alone,
    as the model generates it."""

    def __init__(self, opened: Opened, coder: ImageCoder, **options: Any) -> None:
        """`options` are those of `Encoder`."""
        super().__init__(opened, **options)
        self.coder = coder
        marks = (opened.processor.image_start_token, opened.processor.image_end_token)
        self.start, self.stop = self.tokenizer.convert_tokens_to_ids(list(marks))

    def opening(self, answer: Answer) -> Modality:
        first = next(iter(_runs(answer)), None)
        return "image" if self.on_request and isinstance(first, File) else "text"

    def pieces(self, answer: Answer, id: str = "") -> list[Piece]:
        """An image is kept whole or dropped where an answer is cut. Raises DataError naming the record."""
        runs = _runs(answer)
        asked = self.opening(answer) == "image"
        alone = asked and len(runs) == 1
        found = []
        for place, part in enumerate(runs):
            if isinstance(part, Text):
                text = part.text if place or part.text[:1].isspace() else self.lead + part.text
                found.append(_said(self.text_ids(text)))
            else:
                found.append(self._image(part, id, marked=not (asked and place == 0), closed=not alone))
        return found if alone else [*found, _said([self.end])]

    def _image(self, part: File, id: str, *, marked: bool, closed: bool) -> Piece:
        try:
            codes = self.coder.tokens(Path(part.path))
        except MediaError as fault:
            raise DataError(f"record {id!r}: {fault}") from fault
        ids = [*([self.start] if marked else []), *codes]
        if not closed:
            return Piece(ids, [True] * len(ids), whole=True)
        return Piece([*ids, self.stop], [*[True] * len(ids), False], whole=True)


def _said(ids: list[int]) -> Piece:
    return Piece(ids, [True] * len(ids))


def _runs(answer: Answer) -> list[Text | File]:
    """Its parts, without empty ones; texts that follow one another are one, line by line."""
    found: list[Text | File] = []
    for part in answer:
        if isinstance(part, Text) and not part.text.strip():
            continue
        if isinstance(part, Text) and found and isinstance(found[-1], Text):
            found[-1] = Text(f"{found[-1].text}\n{part.text}")
        else:
            found.append(part)
    return found
