"""Modality lists as users write them: `-M inputs=text,image`."""

from __future__ import annotations

from eval_anything.errors import UnknownName, UsageError
from eval_anything.suggest import unknown
from eval_anything.values import MODALITIES, Modality


def parse_modalities(text: str, where: str) -> tuple[Modality, ...]:
    """A comma-separated list in the order of MODALITIES, each once.

    `where` ("model fake/echo, option inputs") begins the messages. Raises UnknownName for a word that is
    no modality, UsageError for an empty list.
    """
    words = {word.strip() for word in text.split(",")} - {""}
    for word in sorted(words):
        if word not in MODALITIES:
            raise UnknownName(f"{where}: {unknown('modality', word, MODALITIES)}")
    if not words:
        raise UsageError(f"{where}: expected a comma-separated list of {', '.join(MODALITIES)}")
    return tuple(modality for modality in MODALITIES if modality in words)
