"""The error budget: how many failures a run may have before it is hopeless."""

from __future__ import annotations

from eval_anything.errors import BudgetExceeded

_IN_A_ROW = 50
"""So many failures with nothing done between them end a run even where the share is not yet reached."""


class ErrorBudget:
    """Counts failed samples (the model's side or the judge's, retries exhausted) against a share of all."""

    def __init__(self, share: float, planned: int) -> None:
        self.allowed = share * planned
        self.errors = 0
        self._in_a_row = 0
        self._last = ""

    def succeeded(self) -> None:
        self._in_a_row = 0

    def failed(self, message: str) -> None:
        """Raises BudgetExceeded once the run can no longer count as done, or seems hopeless."""
        self.errors += 1
        self._in_a_row += 1
        self._last = message
        if self.errors > self.allowed or self._in_a_row >= _IN_A_ROW:
            raise BudgetExceeded(
                f"{self.errors} samples failed (the error budget allows {int(self.allowed)}),"
                f" the last with: {message}"
            )
