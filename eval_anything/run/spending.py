"""What a run spends, and the limits on it: dollars (--max-cost) and tokens (--max-total-tokens)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from eval_anything.errors import LimitReached
from eval_anything.values import Purpose, Spent, Usage
from eval_anything.values.usage import dollars

_MIGHT_PASS = "and one sample more might pass it; a larger limit goes on"


class Spending:
    """Running totals, and whether the next sample may begin.

    A sample, with its answer and its judgement, may begin while what is spent, what is in flight and the
    sample itself stay within the limits, each counted as the dearest sample of its task so far; the first
    one of a task is waited for, to learn that. So a limit is passed only by as much as one costs more than
    any before it; and what has begun is finished: nothing that was paid for is thrown away.
    """

    def __init__(
        self, spent: Spent, max_cost: float | None = None, max_total_tokens: int | None = None
    ) -> None:
        """`spent`: what earlier sessions of the run have spent; it counts towards the limits."""
        self.spent = spent
        self._max_cost = max_cost
        self._max_tokens = max_total_tokens
        self._in_flight: Counter[str] = Counter()
        self._learning: set[str] = set()
        """Tasks whose first sample is in flight."""
        self._blind = ""
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def sample(self, task: str) -> AsyncIterator[None]:
        """Wait until a sample may begin. Raises LimitReached where none may, once nothing is in flight."""
        if self._max_cost is None and self._max_tokens is None:
            yield
            return
        while refusal := self._refusal(task):
            if not self._in_flight.total():
                raise LimitReached(refusal)
            await self._ended.wait()
        self._in_flight[task] += 1
        if self.spent.dearest(task) is None:
            self._learning.add(task)
        try:
            yield
        finally:
            self._learning.discard(task)
            self._in_flight[task] -= 1
            self._ended.set()
            self._ended = asyncio.Event()

    def took(self, task: str, purpose: Purpose, usage: Usage, *, answered: bool = True) -> None:
        """A part of a sample has consumed `usage`. `answered`: whether an answer came of it."""
        self.spent.add(task, purpose, usage)
        if self._max_cost is not None and usage.unpriced:
            self._blind = f"--max-cost cannot be kept: what an answer cost was not reported ({purpose})"
        untold = usage.requests and not usage.input_tokens and not usage.output_tokens
        if self._max_tokens is not None and untold and answered and purpose != "tools":
            self._blind = f"--max-total-tokens cannot be kept: the server reports no tokens ({purpose})"

    def _refusal(self, task: str) -> str:
        """Why a sample may not begin now; nothing where it may."""
        if self._blind:
            return self._blind
        if task in self._learning:
            return "the first one of its task is not done yet"
        cost, tokens = self._expected(task)
        if self._max_cost is not None and (cost > self._max_cost or self._used_up()):
            shown = dollars(self.spent.cost_usd or 0.0)
            return f"--max-cost {self._max_cost:g}: {shown} spent, {_MIGHT_PASS}"
        if self._max_tokens is not None and (tokens > self._max_tokens or self._used_up()):
            shown = f"{self.spent.tokens:,} tokens used"
            return f"--max-total-tokens {self._max_tokens}: {shown}, {_MIGHT_PASS}"
        return ""

    def _used_up(self) -> bool:
        cost, tokens = self.spent.cost_usd or 0.0, self.spent.tokens
        return (self._max_cost is not None and cost >= self._max_cost) or (
            self._max_tokens is not None and tokens >= self._max_tokens
        )

    def _expected(self, task: str) -> tuple[float, int]:
        """Dollars and tokens with all that is in flight and one sample more of `task`."""
        cost, tokens = self.spent.cost_usd or 0.0, self.spent.tokens
        for one, count in (self._in_flight + Counter([task])).items():
            dearest = self.spent.dearest(one) or (0.0, 0)
            cost, tokens = cost + count * dearest[0], tokens + count * dearest[1]
        return cost, tokens
