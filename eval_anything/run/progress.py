"""What a run shows while it works: done, rate, time left, errors, cost. Plain lines where nobody watches."""

from __future__ import annotations

import abc
import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

from eval_anything.values import Response, Score, Spent
from eval_anything.values.usage import dollars

if TYPE_CHECKING:
    from rich.live import Live

_LINE_EVERY_S = 10.0


class Display(abc.ABC):
    """Shows `line()`: as a live line on a terminal, every ten seconds elsewhere, or never."""

    def __init__(self, stream: TextIO | None = sys.stderr) -> None:
        """`stream`: None shows nothing."""
        self.stream = stream
        self.began = self._shown = time.monotonic()
        self._live: Live | None = None

    @abc.abstractmethod
    def line(self) -> str:
        """What there is to say now."""

    def __enter__(self) -> Self:
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

    def changed(self, *, now: bool = False) -> None:
        """There is something new to say; `now`: where there is no terminal, do not wait with it."""
        if self.stream is None or self._live is not None:
            return
        if now or time.monotonic() - self._shown >= _LINE_EVERY_S:
            self._shown = time.monotonic()
            print(self.line(), file=self.stream, flush=True)


class Starting(Display):
    """How far a model's start is. Shows nothing where no model tells anything; what one tells of its end, as
    a line."""

    def __init__(self, stream: TextIO | None = sys.stderr) -> None:
        super().__init__(stream)
        self._said = ""
        self._over = False

    def tell(self, said: str) -> None:
        """`said` is shown until something else is; another stage, the words up to a comma, at once."""
        if not self._said and not self._over:
            super().__enter__()
        before, self._said = self._said, said
        self.changed(now=before.partition(",")[0] != said.partition(",")[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._live is not None:  # elsewhere its last line stands there already
            super().__exit__(*raised)
        self._live, self._over = None, True

    def line(self) -> str:
        return self._said if self._over else f"{self._said} ({duration(time.monotonic() - self.began)})"


class Progress(Display):
    """Counts samples and errors, and shows what is spent."""

    def __init__(self, planned: int, stream: TextIO | None = sys.stderr, spent: Spent | None = None) -> None:
        """`spent`: the run's totals, which others keep."""
        super().__init__(stream)
        self.planned = planned
        self.done = self.reused = self.errors = self.truncated = 0
        self.spent = spent or Spent()
        self._changed: tuple[str, ...] = ()

    def resumed(self) -> None:
        """A sample that an earlier session of this run finished."""
        self.done += 1
        self.reused += 1

    def responded(self, response: Response) -> None:
        self.errors += response.state == "error"
        self.truncated += response.state == "truncated"
        self._say_changes()

    def scored(self, score: Score) -> None:
        self.done += 1
        self.errors += score.state == "judge_error"
        self._say_changes()
        self.changed()

    def unjudged(self) -> None:
        """A sample that is done with its response, which nobody judges."""
        self.done += 1
        self.changed()

    def line(self) -> str:
        elapsed = time.monotonic() - self.began
        fresh = self.done - self.reused
        rate = fresh / elapsed if elapsed > 0 else 0.0
        words = [f"{self.done}/{self.planned}", f"{rate:.1f}/s"]
        if rate > 0 and self.done < self.planned:
            words.append(f"{duration((self.planned - self.done) / rate)} left")
        else:
            words.append(duration(elapsed))
        if self.reused:
            words.append(f"{self.reused} from before")
        words.append(f"{self.errors} errors")
        if self.truncated:
            words.append(f"{self.truncated} truncated")
        if cost := dollars(self.spent.cost_usd, self.spent.unpriced):
            words.append(cost)
        words += [f"{spec} changed under way" for spec in self._changed]
        return "  ".join(words)

    def _say_changes(self) -> None:
        """At once where a model answers under another name than before."""
        changed = self.spent.changed()
        if changed != self._changed:
            self._changed = changed
            self.changed(now=True)


def duration(seconds: float) -> str:
    """`seconds` in words: "8 s", "4:05 min", "11:20 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
