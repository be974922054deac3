"""What a run will ask, and what that may cost: counted and estimated before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from eval_anything.models.tally import (
    AUDIO_TOKENS_A_SECOND,
    ESTIMATED_BY,
    count_chars,
    count_usage,
    estimated_tokens,
)
from eval_anything.results.costs import CALLED
from eval_anything.results.words import NONE
from eval_anything.run.endpoint import Endpoint
from eval_anything.values import Purpose, Request, Usage
from eval_anything.values.usage import dollars

EXPLAINED = (
    f"input tokens are estimated: {ESTIMATED_BY}",
    "from answers without a word, to answers of max_tokens and judges that need all their attempts",
    "answers from a response cache (--cache) cost nothing; whether it holds any is not looked up",
)
_COLUMNS = (
    *("asked as", "model", "requests", "images", "sound", "video"),
    *("input tokens", "output tokens", "US dollars"),
)


class Range(msgspec.Struct, frozen=True):
    """From the least to the most; None where nobody knows the most."""

    low: float = 0.0
    high: float | None = 0.0

    def __add__(self, other: Range) -> Range:
        high = None if self.high is None or other.high is None else self.high + other.high
        return Range(self.low + other.low, high)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one model will be asked."""

    purpose: Purpose
    model: str
    requests: Range
    images_in: int
    """Media of the requests that are sent in any case; sound and video in seconds."""
    audio_s_in: float
    video_s_in: float
    input_tokens: Range
    output_tokens: Range
    usd: Range | None
    """None where no price is known, or nobody bills."""
    reason: str = ""
    """Why there is no cost, or no most of something."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    asked: tuple[Asked, ...]
    usd: Range | None
    """Of all that somebody bills; None where no price of any is known."""
    planned: int
    """Responses that the run is to have."""
    finished: int
    """Those among them that are there already, with their scores."""
    notes: tuple[str, ...]


class Tally:
    """Adds up what one model will be asked."""

    def __init__(self, purpose: Purpose, endpoint: Endpoint) -> None:
        self.purpose = purpose
        self.endpoint = endpoint
        self.requests = self.read = self.written = self.usd = Range()
        self.media = Usage()
        self._reasons: dict[str, None] = {}

    def add(self, request: Request, *, surely: bool = True, more: float | None = 0.0) -> None:
        """One request. `surely`: whether it is sent in any case. `more`: input tokens that it may have beyond
        what it shows; None: nobody knows."""
        used = count_usage(request, ())
        tokens = estimated_tokens(used, count_chars(request))
        read = Range(tokens if surely else 0, None if more is None else tokens + more)
        written = Range(0, self._most_written(request))
        if more is None:
            self._reasons["what it will be shown is not known"] = None
        sound = round(used.audio_s_in * AUDIO_TOKENS_A_SECOND)
        # A usage without tokens would be one that was not reported.
        used = msgspec.structs.replace(used, input_tokens=max(1, tokens), input_audio_tokens=sound)
        self.media += used if surely else Usage()
        self.requests += Range(int(surely), 1)
        self.read += read
        self.written += written
        self.usd += Range(
            (self._cost(used) or 0.0) if surely else 0.0, self._most_cost(request, used, read, written)
        )

    def unbounded(self, reason: str) -> None:
        """Any number of requests may follow."""
        self._reasons[reason] = None
        more = Range(0, None)
        self.requests, self.read, self.written = self.requests + more, self.read + more, self.written + more
        self.usd += more

    def _most_written(self, request: Request) -> float | None:
        if self.endpoint.model.makes:
            return 0.0
        if request.continuation is not None:
            return 1.0
        if request.params.max_tokens is None:
            self._reasons["its answers have no max_tokens"] = None
        return request.params.max_tokens

    def _cost(self, used: Usage) -> float | None:
        return None if self.endpoint.price is None else self.endpoint.price.cost(used)

    def _most_cost(self, request: Request, used: Usage, read: Range, written: Range) -> float | None:
        price = self.endpoint.price
        if price is None:
            return None
        made = request.output_modalities
        by_size = ("audio" in made and (price.audio_s_out, price.output_audio) != (None, None)) or (
            "video" in made and price.video_s_out is not None
        )
        if by_size or (self.endpoint.model.makes and price.by_tokens):
            self._reasons["how large what it makes will be is not known"] = None
            return None
        if price.by_tokens and (read.high is None or written.high is None):
            return None
        most = msgspec.structs.replace(
            used,
            input_tokens=max(1, round(read.high or 0)),
            output_tokens=round(written.high or 0),
            images_out=int("image" in made),
        )
        return price.cost(most)

    def result(self) -> Asked:
        usd: Range | None = self.usd
        reasons = list(self._reasons)
        if self.endpoint.price is None:
            usd = None
            reasons = [LOCAL] if self.endpoint.account is None else [NO_PRICE]
        return Asked(
            purpose=self.purpose,
            model=self.endpoint.label,
            requests=self.requests,
            images_in=self.media.images_in,
            audio_s_in=round(self.media.audio_s_in, 1),
            video_s_in=round(self.media.video_s_in, 1),
            input_tokens=self.read,
            output_tokens=self.written,
            usd=usd,
            reason="; ".join(reasons),
        )


NO_PRICE, LOCAL = "no price is known", "local, nobody bills"


def together(asked: Iterable[Asked], unpriced: Sequence[str]) -> Range | None:
    """What all of it may cost. `unpriced`: models that somebody bills by a price that is not known."""
    known = [one.usd for one in asked if one.usd is not None]
    if not known:
        return None
    return sum(known, Range(0, None if unpriced else 0))


def table(estimate: Estimate) -> str:
    """For a terminal: one row a model, then what all of it may cost and how that was estimated."""
    from tabulate import tabulate

    rows = [
        (
            CALLED[one.purpose],
            one.model,
            _counts(one.requests),
            one.images_in,
            f"{one.audio_s_in:,.1f} s",
            f"{one.video_s_in:,.1f} s",
            _counts(one.input_tokens),
            _counts(one.output_tokens),
            _money(one.usd),
        )
        for one in estimate.asked
    ]
    lines = [tabulate(rows, headers=_COLUMNS, disable_numparse=True), ""]
    lines.append(f"nothing was sent; {estimate.planned:,} responses are planned, {estimate.finished:,} done")
    unpriced = any(one.reason == NO_PRICE for one in estimate.asked)
    whole = _money(estimate.usd) if estimate.usd else "not known" if unpriced else "nobody bills"
    lines.append(f"all together, US dollars: {whole}")
    lines += [f"{one.model} ({CALLED[one.purpose]}): {one.reason}" for one in estimate.asked if one.reason]
    return "\n".join([*lines, *estimate.notes]) + "\n"


def _counts(found: Range) -> str:
    if found.high is None:
        return f"{found.low:,.0f} or more"
    return f"{found.low:,.0f}" if found.low == found.high else f"{found.low:,.0f} to {found.high:,.0f}"


def _money(found: Range | None) -> str:
    if found is None:
        return NONE
    low = dollars(found.low)
    if found.high is None:
        return f"{low} or more"
    return low if low == dollars(found.high) else f"{low} to {dollars(found.high)}"
