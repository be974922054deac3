"""`synergy`: how well text, image and sound of one answer work together, by a trained reward model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything.judge import Case, Judge
from eval_anything.judges.synergy import folder
from eval_anything.judges.synergy.pairs import PAIRS, Reading
from eval_anything.judges.votes import NOT_BY_VOTES, about_choice
from eval_anything.models.hf import load
from eval_anything.models.hf.batch import Batcher
from eval_anything.values import Modality, Score

if TYPE_CHECKING:
    from eval_anything.judges.synergy.answer import Answer
    from eval_anything.judges.synergy.scorer import Scored, Scorer

_SCORED: tuple[Modality, ...] = ("text", "image", "audio")


class SynergyOptions(msgspec.Struct, frozen=True, kw_only=True):
    model: str = "PKU-Alignment/AnyRewardModel"
    """The reward model: the folder of its checkpoint, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id; None: the default branch."""
    reading: Reading = "end"
    """Which tokens the score is read from: the last (end, as the model's card says), all of them (mean), or
    as the benchmark's script does (published: end for image and audio, mean for the pairs with text)."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of weights and activations; auto: bfloat16 on a GPU, float32 elsewhere."""
    device: str = "auto"
    """As torch writes it (cpu, cuda:1); auto: the GPU where there is one."""
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 4
    """Most answers that are scored together; each has up to three pairs."""


class SynergyJudge(Judge):
    """The mean over the pairs text-image, text-audio and image-audio that an answer holds, from 0 to 1.

    The pairs are its components; one without both of its modalities has no score, and `details["missing"]`
    says why.
    """

    name = "synergy"
    summary = "how well text, image and sound of an answer fit together, by AnyRewardModel"
    Options = SynergyOptions
    transport_options = ("device", "batch_size")

    options: SynergyOptions

    def __init__(self, options: Any, endpoint: Any = None) -> None:
        super().__init__(options, endpoint)
        self._scorer: Scorer | EvalAnythingError | None = None
        self._batcher: Batcher[Answer, Scored] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self, outputs: tuple[Modality, ...]) -> None:
        held = [m for m in _SCORED if m in outputs]
        if len(held) < 2:
            raise UsageError(
                f"judge synergy scores pairs of text, image and audio; the task asks for {', '.join(outputs)}"
            )
        folder.check(self.options.model, self.options.revision)

    def identity(self) -> dict[str, Any]:
        which = folder.identity(self.options.model, self.options.revision)
        load.libraries()
        dtype = load.resolve_dtype(self.options.dtype, load.resolve_device(self.options.device))
        return {**which, "dtype": dtype}

    async def score(self, case: Case) -> Score:
        # Decoding needs numpy and Pillow, which naming and describing a judge does not.
        from eval_anything.judges.synergy.answer import read_answer

        if about_choice(case):
            return Score(value=None, state="judge_error", reason=NOT_BY_VOTES, judge=self.label)
        answer, missing = await asyncio.to_thread(read_answer, case)
        found: Scored = {}
        if len(missing) < len(PAIRS):
            found = await self._batching().submit(answer, "answers")
        return self._score(found, missing)

    def _batching(self) -> "Batcher[Answer, Scored]":
        loop = asyncio.get_running_loop()
        if self._batcher is None or self._loop is not loop:
            size = self.options.batch_size
            self._batcher, self._loop = Batcher(self._run, size, concurrency=size), loop
        return self._batcher

    def _run(self, answers: "Sequence[Answer]") -> "list[Scored]":
        """In the batcher's thread; loads the model when it is first needed, and tries that only once."""
        if self._scorer is None:
            try:
                self._scorer = self._load()
            except EvalAnythingError as fault:
                self._scorer = fault
        if isinstance(self._scorer, EvalAnythingError):
            raise self._scorer
        return self._scorer.run(answers)

    def _load(self) -> "Scorer":
        load.libraries()
        from eval_anything.judges.synergy.scorer import Scorer

        device = load.resolve_device(self.options.device)
        place = folder.with_weights(self.options.model, self.options.revision)
        return Scorer.load(place, device, load.resolve_dtype(self.options.dtype, device))

    def _score(self, found: "Scored", missing: dict[str, str]) -> Score:
        components: dict[str, float | None] = {}
        raw: dict[str, dict[str, float]] = {}
        reasons = dict(missing)
        for pair in PAIRS:
            scores = found.get(pair.name)
            if scores is None or isinstance(scores, str):
                components[pair.name] = None
                reasons[pair.name] = scores or missing[pair.name]
            else:
                components[pair.name] = pair.read(scores.end, scores.mean, self.options.reading)
                raw[pair.name] = {"end": scores.end, "mean": scores.mean}
        details: dict[str, Any] = {"raw": raw, **({"missing": reasons} if reasons else {})}
        values = [value for value in components.values() if value is not None]
        if not values:
            return Score(
                value=None,
                state="unparsed",
                reason=f"no pair of modalities to score: {'; '.join(dict.fromkeys(reasons.values()))}",
                judge=self.label,
                details=details,
                components=components,
            )
        return Score(
            value=sum(values) / len(values),
            state="scored",
            judge=self.label,
            details=details,
            components=components,
        )
