"""What a run spends, and the limits on it: dollars (--max-cost) and tokens (--max-total-tokens)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from eval_anything.errors import LimitReached
from eval_anything.values import Purpose, Spent, Usage
from eval_anything.values.usage import dollars

Kind = tuple[str, Purpose]
"""Task, and whether it is answered or judged: such steps cost about the same."""


class Spending:
    """Running totals, and whether the next step may begin.

    A step (one answer, one judgement) may begin while what is spent, what is in flight and the step itself
    stay within the limits, each counted as the dearest of its kind so far; the first of a kind is waited for,
    to learn that. So a limit is passed only by as much as a step costs more than any before it, and
    whatever has begun is finished: nothing that was paid for is thrown away.
    """

    def __init__(
        self, spent: Spent, max_cost: float | None = None, max_total_tokens: int | None = None
    ) -> None:
        """`spent`: what earlier sessions of the run have spent; it counts towards the limits."""
        self.spent = spent
        self._limits = {"cost": max_cost, "tokens": max_total_tokens}
        self._limited = max_cost is not None or max_total_tokens is not None
        self._in_flight: dict[Kind, int] = {}
        self._dearest: dict[Kind, dict[str, float]] = {}
        self._blind = ""
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def step(self, task: str, purpose: Purpose) -> AsyncIterator[None]:
        """Wait until a step may begin. Raises LimitReached where none may, with nothing in flight."""
        kind = (task, purpose)
        if not self._limited:
            yield
            return
        while refusal := self._refusal(kind):
            if not any(self._in_flight.values()):
                raise LimitReached(refusal)
            await self._ended.wait()
        self._in_flight[kind] = self._in_flight.get(kind, 0) + 1
        try:
            yield
        finally:
            self._in_flight[kind] -= 1
            self._ended.set()
            self._ended = asyncio.Event()

    def took(self, task: str, usages: Mapping[Purpose, Usage], *, answered: bool = True) -> None:
        """What one step has consumed; the first of `usages` is what it was for. `answered`: whether an
        answer came of it, so that its consumption must be known."""
        for purpose, usage in usages.items():
            self.spent.add(purpose, usage)
        if not self._limited:
            return
        step = Spent()
        for purpose, usage in usages.items():
            step.add(purpose, usage)
        known = self._dearest.setdefault((task, next(iter(usages))), {"cost": 0.0, "tokens": 0.0})
        known["cost"] = max(known["cost"], step.cost_usd or 0.0)
        known["tokens"] = max(known["tokens"], step.tokens)
        self._blind = self._blind or self._unknown(usages, answered)

    def _unknown(self, usages: Mapping[Purpose, Usage], answered: bool) -> str:
        """Why a limit can no longer be kept, where that is so."""
        for purpose, usage in usages.items():
            if self._limits["cost"] is not None and usage.unpriced:
                return f"--max-cost cannot be kept: the server did not report what an answer cost ({purpose})"
            untold = usage.requests and not usage.input_tokens and not usage.output_tokens
            if self._limits["tokens"] is not None and answered and purpose != "tools" and untold:
                return f"--max-total-tokens cannot be kept: the server reports no tokens ({purpose})"
        return ""

    def _refusal(self, kind: Kind) -> str:
        if self._blind:
            return self._blind
        first = kind not in self._dearest
        if first and self._in_flight.get(kind):
            return "the first of its kind is not done yet"
        most = self._limits["cost"]
        if most is not None and self._expected("cost", kind, self.spent.cost_usd or 0.0) > most:
            shown = dollars(self.spent.cost_usd or 0.0)
            return f"--max-cost {most:g}: {shown} spent, the next step might pass it; a larger one goes on"
        most = self._limits["tokens"]
        if most is not None and self._expected("tokens", kind, self.spent.tokens) > most:
            shown = f"{self.spent.tokens:,} tokens used"
            return f"--max-total-tokens {most}: {shown}, the next step might pass it; a larger one goes on"
        return ""

    def _expected(self, what: str, kind: Kind, spent: float) -> float:
        """With all that is in flight and one step more; where nothing is known of its kind, a little more."""
        dearest = {one: known[what] for one, known in self._dearest.items()}
        in_flight = sum(count * dearest.get(one, 0.0) for one, count in self._in_flight.items())
        return spent + in_flight + dearest.get(kind, 1e-9)
