"""How many requests an endpoint gets at once: additive increase, multiplicative decrease (AIMD)."""

from __future__ import annotations

import asyncio
from collections import deque

_DECREASE = 0.7
"""What a "slow down" leaves of the limit; once in each round trip, however many requests were told."""


class Limiter:
    """Places at an endpoint. `async with limiter:` holds one.

    Starts at `places`, which is also the most. A 429 or 503 lowers the limit and, with Retry-After, pauses
    the endpoint; each full round of successes raises it by one again.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self.limit = float(places)
        self.in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0
        self._lowered_at = float("-inf")

    async def __aenter__(self) -> None:
        if self._free() and not self._waiting:
            self.in_use += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._give_back()  # it was given a place in the same turn
            elif place in self._waiting:
                self._waiting.remove(place)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    def succeeded(self) -> None:
        if self.limit < self.places:
            self.limit = min(self.places, self.limit + 1 / self.limit)
            self._let_in()

    def slow_down(self, retry_after: float | None, sent_at: float) -> None:
        """`sent_at`: loop time at which the refused request left. Requests that left before the limit was
        last lowered say nothing new about it."""
        loop = asyncio.get_running_loop()
        if sent_at > self._lowered_at:
            self.limit = max(1.0, self.limit * _DECREASE)
            self._lowered_at = loop.time()
        if retry_after is not None and loop.time() + retry_after > self._paused_until:
            self._paused_until = loop.time() + retry_after
            loop.call_at(self._paused_until, self._let_in)

    def _free(self) -> bool:
        if self._paused_until and asyncio.get_running_loop().time() < self._paused_until:
            return False
        return self.in_use < int(self.limit)

    def _give_back(self) -> None:
        self.in_use -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._free():
            place = self._waiting.popleft()
            if not place.done():
                self.in_use += 1
                place.set_result(None)
