"""Judges whose replies (or whose answers) are read by one of several rules, chosen by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from eval_anything.errors import UsageError
from eval_anything.judge import Judge, Rubric
from eval_anything.suggest import unknown

Rule = TypeVar("Rule")


class RuledJudge(Judge, Generic[Rule]):
    """A judge whose options have `parse`, the name of one of `rules`; the protocol's by default."""

    rules: ClassVar[Mapping[str, Any]]

    def __init__(self, options: Any, endpoint: Any = None) -> None:
        """Raises UsageError for a rule that is not there, before any model is asked."""
        super().__init__(options, endpoint)
        if options.parse is not None:
            self._named(options.parse)

    def rule(self, rubric: Rubric) -> Rule:
        return self._named(self.options.parse or rubric.parse)

    def _named(self, name: str) -> Rule:
        if name not in self.rules:
            raise UsageError(f"judge {self.name}: {unknown('parse rule', name, self.rules)}")
        found: Rule = self.rules[name]
        return found
