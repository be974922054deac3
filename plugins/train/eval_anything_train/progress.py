"""What training shows while it works: steps, rate, time left, loss."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from eval_anything.run.progress import Display, duration


class Progress(Display):
    """Steps done of `planned`; a live line on a terminal, one every `log_every` steps elsewhere."""

    def __init__(
        self, planned: int, done: int = 0, log_every: int = 10, stream: TextIO | None = sys.stderr
    ) -> None:
        """`done`: steps of an earlier session of the run. `stream`: None shows nothing."""
        super().__init__(stream)
        self.planned, self.done, self.reused = planned, done, done
        self.log_every = log_every
        self._values: Mapping[str, Any] = {}
        self._skipped = 0

    def stepped(self, values: Mapping[str, Any]) -> None:
        """A step is done; `values` are its line of metrics."""
        self.done += 1
        self._values = values
        self._skipped += values.get("skipped", 0)
        if self.done % self.log_every == 0:
            self.changed(now=True)

    def line(self) -> str:
        elapsed = time.monotonic() - self.began
        rate = (self.done - self.reused) / elapsed if elapsed > 0 else 0.0
        words = [f"step {self.done}/{self.planned}", f"{rate:.2f}/s"]
        if rate > 0 and self.done < self.planned:
            words.append(f"{duration((self.planned - self.done) / rate)} left")
        else:
            words.append(duration(elapsed))
        if self.reused:
            words.append(f"{self.reused} from before")
        if self._values.get("loss") is not None:
            words.append(f"loss {self._values['loss']:.4f}")
        if self._values.get("tokens") and self._values.get("seconds"):
            words.append(f"{self._values['tokens'] / self._values['seconds']:.0f} tokens/s")
        if self._skipped:
            words.append(f"{self._skipped} skipped")
        return "  ".join(words)
