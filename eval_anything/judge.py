"""What a judge is: it is given a case and returns a score, or None with a reason."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from eval_anything.models.base import NoOptions
from eval_anything.values import Modality, Params, Response, Sample, Score

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore
    from eval_anything.run.endpoint import Endpoint


class Rubric(msgspec.Struct, frozen=True, kw_only=True):
    """How a judging model is asked to rate one answer."""

    system: str
    """System prompt, ready to send."""
    user: str
    """Template of the user turn; `{response}` is where the judge pastes the answer, safely delimited."""
    values: dict[str, str] = {}
    """Values of the template's other placeholders."""
    untrusted: tuple[str, ...] = ()
    """Names in `values` that hold text of others (the instruction, say), to be delimited as the answer is."""
    pattern: Literal["rating", "score"] = "rating"
    """What a verdict looks like: `[[n]]`, or a line `<Score>: [[n]]`."""
    media: bool = False
    """Whether the judging model is shown the answer's images, audio and video, after the text."""
    low: float = 1
    high: float = 10
    """The scale, ends included; a rating outside of it is no rating."""
    attempts: int = 3
    params: Params = Params()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to be judged, with all that any judge may need."""

    sample: Sample
    response: Response
    rubric: Rubric
    repeat: int = 0
    task: str = ""
    store: "ArtifactStore | None" = None
    """Where the media of the response are; set by the run."""


class Judge(abc.ABC):
    """Scores answers. A failed reply of the judging model is a score of None, never a number."""

    name: ClassVar[str]
    summary: ClassVar[str]
    Options: ClassVar[type[msgspec.Struct]] = NoOptions
    transport_options: ClassVar[tuple[str, ...]] = ()
    """Options that cannot change a score (device, batch size) and stay out of the fingerprint."""
    needs_model: ClassVar[bool] = False
    """Whether it asks a model; the run then gives it an endpoint."""

    def __init__(self, options: Any, endpoint: "Endpoint | None" = None) -> None:
        self.options = options
        self.endpoint = endpoint

    @property
    def label(self) -> str:
        """How the judge is named on every number that it gave."""
        return self.name if self.endpoint is None else f"{self.name}:{self.endpoint.label}"

    def identity(self) -> dict[str, Any]:
        """What decides its scores besides name, options and the judging model: checkpoint hashes."""
        return {}

    def check(self, outputs: tuple[Modality, ...]) -> None:  # noqa: B027 - most judges can judge anything
        """Raises UsageError where it cannot judge answers in `outputs` (a model without image input, say)."""

    @abc.abstractmethod
    async def score(self, case: Case) -> Score: ...
