"""AMG as a whole: six tasks in one number, and with AMU in the overall one.

    AMG = sum over the pairs (T,V), (T,A), (V,A) of 1/2 * alpha_ij * (S_i + S_j) * S_ij

S_i are the instruction-following scores (0..10), S_ij the synergy of a pair (0..1). Two readings of alpha
are known (Align Anything, arXiv 2412.15838, section 4). The published table takes the mean of modality
selection for all three pairs: all seven of its rows come out with it. The text reads it for each item: the
pair that was chosen gets the share of its votes, and where all three modalities were chosen each pair gets a
third of theirs. Both are shown; "AMG" and "Overall" are the table's. With everything at its best AMG is 30,
not 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from eval_anything.group import Combined, Group, Measured
from eval_anything.judges.votes import ALPHAS, alphas

N = TypeVar("N")
Key = tuple[str, str]
"""Task and metric; "" is the headline."""

_SELECT: Key = ("amg_selection", "Select")
_TEXT, _IMAGE, _AUDIO, _VIDEO = (
    (f"amg_instruction_{modality}", "") for modality in ("text", "image", "audio", "video")
)
_SYNERGY: dict[str, Key] = {
    "synergy TV": ("amg_synergy", "text-image"),
    "synergy TA": ("amg_synergy", "text-audio"),
    "synergy VA": ("amg_synergy", "image-audio"),
}
_ALPHAS: dict[str, Key] = {name: ("amg_selection", name) for name in ALPHAS}
_AMU_COLUMNS: dict[str, Key] = {
    **{
        dimension: ("amu", dimension)
        for dimension in ("perception", "reasoning", "instruction-following", "safety")
    },
    "AMU": ("amu", ""),
}


class Pairs(NamedTuple):
    """One number for each pair of modalities: text and vision, text and audio, vision and audio."""

    tv: Any
    ta: Any
    va: Any


class Scores(NamedTuple):
    """Instruction following: text, vision, audio; each 0..10."""

    t: Any
    v: Any
    a: Any


def amg(alpha: Pairs, scores: Scores, synergy: Pairs) -> Any:
    """The formula, for numbers or for arrays of bootstrap draws."""
    t, v, a = scores
    return (
        alpha.tv * (t + v) * synergy.tv + alpha.ta * (t + a) * synergy.ta + alpha.va * (v + a) * synergy.va
    ) / 2


def amg_table4(select: N, t: N, v: N, a: N, tv: N, ta: N, va: N) -> N:
    """AMG as the published table has it: one alpha for all pairs, the mean of modality selection."""
    found: N = amg(Pairs(select, select, select), Scores(t, v, a), Pairs(tv, ta, va))
    return found


def amg_per_item(chosen: Iterable[tuple[str, float]], scores: Scores, synergy: Pairs) -> float:
    """AMG with an alpha for each item: `chosen` has each item's combination ("ti") and its vote share.

    The mean over the items of the formula, with the task's own mean scores in it.
    """
    each = [float(amg(Pairs(*alphas(name, share).values()), scores, synergy)) for name, share in chosen]
    return sum(each) / len(each)


class AMG(Group):
    """All-modality generation.

    S_V is of images, as in the published table of agents with an image tool; where only
    `amg_instruction_video` was run, it is of videos, as in the tables of agents with a video tool.
    """

    name = "amg"
    summary = "all-modality generation: instruction following, modality selection, synergy"
    tasks = (
        "amg_instruction_text",
        "amg_instruction_image",
        "amg_instruction_audio",
        "amg_instruction_video",
        "amg_selection",
        "amg_synergy",
    )

    optional = ("amg_instruction_video",)

    def combine(self, metrics: Mapping[Key, Measured]) -> list[Combined]:
        """The columns of the published table in its order, those of AMU where it was run."""
        run = {task for task, _ in metrics}
        if not run & set(self.tasks):
            return []
        vision = _VIDEO if _IMAGE[0] not in run and _VIDEO[0] in run else _IMAGE
        columns = dict(_AMU_COLUMNS) if "amu" in run else {}
        parts = {"S_T": _TEXT, "S_V": vision, "S_A": _AUDIO, **_SYNERGY}
        columns |= {"Select": _SELECT, **parts}
        shown = [_shown(name, key, metrics.get(key)) for name, key in columns.items()]
        table = {"Select": _SELECT, **parts}
        shown.append(_combined("AMG", table, metrics, amg_table4))
        if all(key in metrics for key in _ALPHAS.values()):
            shown.append(_combined("AMG (per item)", {**_ALPHAS, **parts}, metrics, _of_means))
        shown.append(_combined("Overall", {"AMU": _AMU_COLUMNS["AMU"], **table}, metrics, _overall))
        return shown


def _of_means(*values: Any) -> Any:
    """The formula is linear in alpha, so the mean over items is the formula of the mean alphas."""
    return amg(Pairs(*values[:3]), Scores(*values[3:6]), Pairs(*values[6:]))


def _overall(amu: Any, *parts: Any) -> Any:
    return (amu + amg_table4(*parts)) / 2


def _shown(name: str, key: Key, part: Measured | None) -> Combined:
    if part is None:
        return Combined(name=name, value=None, reason=f"{key[0]} was not run")
    return Combined(name=name, value=part.value, reason=part.reason, draws=part.draws)


def _combined(
    name: str, keys: Mapping[str, Key], metrics: Mapping[Key, Measured], formula: Callable[..., Any]
) -> Combined:
    """The formula of the metrics' values, and of their draws; `keys` by the name of the column."""
    found = {column: metrics.get(key) for column, key in keys.items()}
    known = [part for part in found.values() if part is not None and part.value is not None]
    if len(known) < len(found):
        lacking = [column for column, part in found.items() if part is None or part.value is None]
        return Combined(name=name, value=None, reason=f"no {', '.join(lacking)}")
    draws = [part.draws for part in known if part.draws is not None]
    return Combined(
        name=name,
        value=float(formula(*(part.value for part in known))),
        draws=formula(*draws) if len(draws) == len(known) else None,
    )
