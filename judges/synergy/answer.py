"""From a case to what the reward model is given: prompt, first text, first image, first sound."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eval_anything.errors import MediaError, UsageError
from eval_anything.judge import Case
from eval_anything.judges.synergy.pairs import PAIRS, Pair
from eval_anything.judges.synergy.preprocess import read_audio, read_image
from eval_anything.values import Audio, Image, Sample, Text


@dataclasses.dataclass(frozen=True, eq=False)  # arrays do not compare
class Answer:
    """What there is of one answer."""

    prompt: str
    text: str | None = None
    image: np.ndarray | None = None
    """(3, 224, 224), see `preprocess.read_image`."""
    audio: np.ndarray | None = None
    """(3, 1, 128, 204), see `preprocess.read_audio`."""

    def holds(self, pair: Pair) -> bool:
        return all(getattr(self, modality) is not None for modality in pair.modalities)


def read_answer(case: Case) -> tuple[Answer, dict[str, str]]:
    """What there is of the answer, decoded; and for each pair that it does not hold, why.

    Raises UsageError where the answer has media and the case no store to read them from.
    """
    texts = [p.text for p in case.response.parts if isinstance(p, Text) and p.text.strip()]
    absent = {} if texts else {"text": "no text in the answer"}
    image = _decoded(case, Image, read_image, absent)
    audio = _decoded(case, Audio, read_audio, absent)
    answer = Answer(_prompt(case.sample), texts[0] if texts else None, image, audio)
    missing = {
        pair.name: "; ".join(absent[m] for m in pair.modalities if m in absent)
        for pair in PAIRS
        if not answer.holds(pair)
    }
    return answer, missing


def _prompt(sample: Sample) -> str:
    """The text of the last user turn."""
    for message in reversed(sample.messages):
        if message.role == "user":
            return "\n".join(part.text for part in message.parts if isinstance(part, Text))
    return ""


def _decoded(
    case: Case, kind: type[Image | Audio], read: Callable[[Path], np.ndarray], absent: dict[str, str]
) -> np.ndarray | None:
    """The first medium of this kind; where there is none that can be decoded, `absent` says why."""
    modality = kind.__name__.lower()
    artifacts = [part.artifact for part in case.response.parts if isinstance(part, kind)]
    if not artifacts:
        absent[modality] = f"no {modality} in the answer"
        return None
    if case.store is None:
        raise UsageError("judge synergy looks at the media of an answer: it needs the run's artifact store")
    try:
        return read(case.store.path(artifacts[0]))
    except (MediaError, FileNotFoundError) as fault:
        absent[modality] = f"{modality}: {fault}"
        return None
