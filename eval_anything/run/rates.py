"""Rate limits of a key: so many requests and tokens a minute, for all that is asked with it together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from eval_anything.errors import UsageError
from eval_anything.models.base import Account
from eval_anything.models.tally import count_chars, count_usage, estimated_tokens
from eval_anything.run.endpoint import Endpoint
from eval_anything.values import Request, Usage

_MINUTE_S = 60.0
_LATE_S = 0.05
"""So much unused time is made up for: a timer that goes off late must not cost throughput."""


class Bucket:
    """A token bucket that holds one request: what it takes is spread evenly over the minute, because servers
    count over shorter times too."""

    def __init__(self, a_minute: float, now: float) -> None:
        self._a_second = a_minute / _MINUTE_S
        self._full_at = now

    def wait_s(self, now: float) -> float:
        """Seconds until something may be taken; 0 or less: now."""
        return self._full_at - now

    def take(self, amount: float, now: float) -> None:
        self._full_at = max(self._full_at, now - _LATE_S) + amount / self._a_second

    def correct(self, by: float) -> None:
        """So much more (or less) was taken than it seemed."""
        self._full_at += by / self._a_second


class Rates:
    """The limits of one account. Requests go in the order in which they come."""

    def __init__(
        self,
        requests_a_minute: float | None,
        tokens_a_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._requests = None if requests_a_minute is None else Bucket(requests_a_minute, clock())
        self._tokens = None if tokens_a_minute is None else Bucket(tokens_a_minute, clock())
        self._lock = asyncio.Lock()
        self._answers = 0
        self._answered_tokens = 0

    async def admit(self, request: Request) -> int:
        """Wait until `request` may be sent; returns the tokens that were set aside for it."""
        tokens = self._expected(request) if self._tokens is not None else 0
        buckets = [bucket for bucket in (self._requests, self._tokens) if bucket is not None]
        async with self._lock:
            # Asked again after each wait: answers that came in meanwhile have corrected what is left.
            while (wait := max(bucket.wait_s(self._clock()) for bucket in buckets)) > 0:
                await self._sleep(wait)
            now = self._clock()
            if self._requests is not None:
                self._requests.take(1, now)
            if self._tokens is not None:
                self._tokens.take(tokens, now)
        return tokens

    def answered(self, usage: Usage, set_aside: int) -> None:
        """What a request really took, where the provider tells."""
        tokens = usage.input_tokens + usage.output_tokens
        if not tokens:
            return
        self._answers += 1
        self._answered_tokens += tokens
        if self._tokens is not None:
            self._tokens.correct(tokens - set_aside)

    def _expected(self, request: Request) -> int:
        """As many as answers took so far on the average; before there are any, the prompt's estimate and the
        most that the answer may have."""
        if self._answers:
            return round(self._answered_tokens / self._answers)
        prompt = estimated_tokens(count_usage(request, ()), count_chars(request))
        return prompt + (request.params.max_tokens or 0)


def share_rates(endpoints: Iterable[Endpoint]) -> None:
    """Give each endpoint the limits of its account: those that one of them states hold for all of them.

    Raises UsageError where two state different ones.
    """
    accounts: dict[Account | str, list[Endpoint]] = {}
    for number, endpoint in enumerate(endpoints):
        accounts.setdefault(endpoint.account or str(number), []).append(endpoint)
    for shared in accounts.values():
        requests, tokens = (_agreed(shared, name) for name in ("rpm", "tpm"))
        if requests is None and tokens is None:
            continue
        rates = Rates(requests, tokens)
        for endpoint in shared:
            endpoint.rates = rates


def _agreed(endpoints: list[Endpoint], name: str) -> float | None:
    stated = [(value, e.label) for e in endpoints if (value := getattr(e.options, name)) is not None]
    for value, label in stated[1:]:
        if value != stated[0][0]:
            raise UsageError(
                f"{name}={stated[0][0]:g} for {stated[0][1]} and {name}={value:g} for {label}, which share a"
                " key at one server: a limit is the key's, so give it once"
            )
    return stated[0][0] if stated else None
