"""What requests consume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

Purpose = Literal["model", "judge", "tools"]
"""For what a model is asked: to answer, to judge, to make an agent's media."""
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
Served = dict[str, dict[str, int]]
"""By model spec: answers by the name (and system fingerprint) of the model that the server said gave them."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one or many requests consumed, as the providers report it. Counts are sums."""

    requests: int = 0
    """Requests that left for the model, retries included; 0 when the answer came from the cache."""
    from_cache: int = 0
    """Answers that came from the response cache, and cost nothing."""
    input_tokens: int = 0
    """All of them: those of media and those that the provider had cached are among them."""
    input_cached_tokens: int = 0
    """Among them: those that the provider read from its own cache of prompts, at a price of its own."""
    input_audio_tokens: int = 0
    output_tokens: int = 0
    """All of them, those of reasoning and of media among them."""
    reasoning_tokens: int = 0
    """Of the output tokens, those of thinking."""
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    images_in: int = 0
    images_out: int = 0
    audio_s_in: float = 0.0
    audio_s_out: float = 0.0
    video_s_in: float = 0.0
    video_s_out: float = 0.0
    cost_usd: float | None = None
    """Of the answers whose cost is known; None where it is of none."""
    unpriced: int = 0
    """Answers that somebody bills and whose cost is not known: then `cost_usd` is less than the whole."""
    served: Served = {}

    def __add__(self, other: Usage) -> Usage:
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        costs = [c for c in (self.cost_usd, other.cost_usd) if c is not None]
        return Usage(**sums, cost_usd=sum(costs) if costs else None, served=merged(self.served, other.served))


_SUMMED = tuple(name for name in Usage.__struct_fields__ if name not in ("cost_usd", "served"))


def merged(one: Served, other: Served) -> Served:
    """The counts of both, added up."""
    if not one or not other:
        return one or other
    return {
        spec: {
            name: one.get(spec, {}).get(name, 0) + other.get(spec, {}).get(name, 0)
            for name in one.get(spec, {}) | other.get(spec, {})
        }
        for spec in one | other
    }


class Spent:
    """Running totals of a run: dollars, tokens, who answered, and how dear a sample has been."""

    def __init__(self) -> None:
        self._dearest: dict[tuple[str, Purpose], tuple[float, int]] = {}
        self.cost_usd: float | None = None
        self.unpriced = 0
        self.tokens = 0
        self.served: dict[tuple[Purpose, str], dict[str, int]] = {}
        """By purpose and model spec: answers by the name that the server gave."""

    def add(self, task: str, purpose: Purpose, usage: Usage) -> None:
        """What one sample of `task` has consumed for one purpose."""
        tokens = usage.input_tokens + usage.output_tokens
        dollars, most = self._dearest.get((task, purpose), (0.0, 0))
        self._dearest[task, purpose] = (max(dollars, usage.cost_usd or 0.0), max(most, tokens))
        if usage.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + usage.cost_usd
        self.unpriced += usage.unpriced
        self.tokens += tokens
        for spec, names in usage.served.items():
            known = self.served.setdefault((purpose, spec), {})
            for name, count in names.items():
                known[name] = known.get(name, 0) + count

    def dearest(self, task: str) -> tuple[float, int] | None:
        """Dollars and tokens that a sample of `task` takes at most, as far as is known; None before any."""
        known = [amounts for (one, _), amounts in self._dearest.items() if one == task]
        return (sum(usd for usd, _ in known), sum(n for _, n in known)) if known else None

    def changed(self) -> tuple[str, ...]:
        """Models that have answered under more than one name, with what they were asked for."""
        return tuple(
            f"{spec} ({purpose})" for (purpose, spec), names in self.served.items() if len(names) > 1
        )


def dollars(cost_usd: float | None, unpriced: int = 0) -> str:
    """In words: "$1.25", "at least $1.25", "cost not known"; nothing where there is nothing to say."""
    if cost_usd is None:
        return "cost not known" if unpriced else ""
    shown = f"${cost_usd:.2f}" if cost_usd >= 0.01 else f"${cost_usd:.4f}"
    return f"at least {shown}" if unpriced else shown


def told(names: Mapping[str, int]) -> str:
    """Names with their counts, the most frequent first: "a (120), b (3)"."""
    first = sorted(names.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(first) - _NAMED} more" if len(first) > _NAMED else ""
    return ", ".join(f"{name} ({count})" for name, count in first[:_NAMED]) + more


_NAMED = 6
