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
    """How a judging model is asked about one answer; subclasses say what more a judge's shape needs."""

    system: str
    """System prompt, ready to send; empty: no system turn."""
    user: str
    """Template of the user turn; `{response}` is where the judge pastes the answer, safely delimited."""
    values: dict[str, str] = {}
    """Values of the template's other placeholders."""
    untrusted: tuple[str, ...] = ()
    """Names in `values` that hold text of others (the instruction, say), to be delimited as the answer is."""
    parse: str = "rating"
    """Which of the shape's rules reads the reply. `rubric` knows `rating` (`[[n]]`) and `score` (a line
    `<Score>: [[n]]`)."""
    media: bool = False
    """Whether the judging model is shown the answer's images, audio and video."""
    question_media: bool = False
    """Whether it is shown those of the question."""
    low: float = 1
    high: float = 10
    """The scale, ends included; a rating outside of it is no rating."""
    attempts: int = 3
    unparsed: float | None = None
    """What an answer without a usable verdict counts as where the protocol has a number for it (-1, 0); the
    score's state stays unparsed."""
    params: Params = Params()


Side = Literal["reference", "response"]
"""The two answers that a pair judge rates: the benchmark's own, and the model's."""


class PairRubric(Rubric, frozen=True, kw_only=True):
    """The answer is rated beside a reference answer; the user template has `{first}` and `{second}`."""

    baseline: str
    """The reference answer."""
    order: tuple[Side, Side] = ("reference", "response")
    """Who is shown first."""
    swap: bool = False
    """Whether the judge is asked a second time with the order reversed, and the two are averaged."""
    tie: float = 0.5
    """What equal ratings count as in the component `win`."""


class Component(msgspec.Struct, frozen=True):
    """One part of an instruction, rated by itself."""

    text: str
    weight: float
    """Points that it is worth."""
    kind: str
    """Under which its share is averaged over the benchmark: "describe", "grammar"."""


class ComponentsRubric(Rubric, frozen=True, kw_only=True):
    """The answer is rated by the components of the instruction; the user template has `{components}`."""

    components: tuple[Component, ...]


class Aspect(msgspec.Struct, frozen=True, kw_only=True):
    """One aspect of an answer, about which the judge is asked by itself."""

    name: str
    system: str
    user: str
    """Template of the user turn, with `{response}`, or `{response_0}`, `{response_1}` ... where a sample asks
    several requests."""


class AspectsRubric(Rubric, frozen=True, kw_only=True):
    """The answer is rated in several aspects, with one question to the judge for each."""

    aspects: tuple[Aspect, ...]
    settled: dict[str, float] = {}
    """Further aspects, whose rating is known without a judge: of the text where there is none, say."""


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
    members: "tuple[Judge, ...]" = ()
    """The judges that it combines; the run makes what `specs` asks for and puts them here."""

    def __init__(self, options: Any, endpoint: "Endpoint | None" = None) -> None:
        self.options = options
        self.endpoint = endpoint

    def specs(self) -> tuple[str, ...]:
        """The judges that it combines, if it is a panel: provider/name, or an offline judge by its name."""
        return ()

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
