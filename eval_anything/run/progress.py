"""What a run shows while it works: done, rate, time left, errors, cost. Plain lines where nobody watches."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from eval_anything.values import Response, Score

if TYPE_CHECKING:
    from rich.live import Live

_LINE_EVERY_S = 10.0


class Progress:
    """Counts, and shows them: a live bar on a terminal, a line every ten seconds elsewhere, or nothing."""

    def __init__(self, planned: int, stream: TextIO | None = sys.stderr) -> None:
        """`stream`: None shows nothing."""
        self.planned = planned
        self.done = self.reused = self.errors = self.truncated = 0
        self.cost: float | None = None
        self.stream = stream
        self._began = self._shown = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self.stream is not None and self.stream.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self.stream)
            self._live = Live(get_renderable=self.line, console=console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if self.stream is not None:
            print(self.line(), file=self.stream, flush=True)

    def resumed(self) -> None:
        """A score that an earlier session of this run finished."""
        self.done += 1
        self.reused += 1

    def responded(self, response: Response) -> None:
        self.errors += response.state == "error"
        self.truncated += response.state == "truncated"
        for usage in (response.usage, response.tool_usage):
            if usage.cost_usd is not None:
                self.cost = (self.cost or 0.0) + usage.cost_usd

    def scored(self, score: Score) -> None:
        self.done += 1
        self.errors += score.state == "judge_error"
        if score.usage.cost_usd is not None:
            self.cost = (self.cost or 0.0) + score.usage.cost_usd
        if self.stream is not None and self._live is None:
            self._line_now_and_then()

    def line(self) -> str:
        elapsed = time.monotonic() - self._began
        fresh = self.done - self.reused
        rate = fresh / elapsed if elapsed > 0 else 0.0
        words = [f"{self.done}/{self.planned}", f"{rate:.1f}/s"]
        if rate > 0 and self.done < self.planned:
            words.append(f"{_duration((self.planned - self.done) / rate)} left")
        else:
            words.append(_duration(elapsed))
        if self.reused:
            words.append(f"{self.reused} from before")
        words.append(f"{self.errors} errors")
        if self.truncated:
            words.append(f"{self.truncated} truncated")
        if self.cost is not None:
            words.append(f"${self.cost:.4f}")
        return "  ".join(words)

    def _line_now_and_then(self) -> None:
        if time.monotonic() - self._shown >= _LINE_EVERY_S:
            self._shown = time.monotonic()
            print(self.line(), file=self.stream, flush=True)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
