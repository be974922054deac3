"""What annotators make of two replies: rates, winners, reasons, critiques and refinements."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from eval_anything_train.data.twin_answers import Exchange, Reply
from eval_anything_train.data.twin_mistakes import Mistake
from eval_anything_train.values import Feedback

Dimensions = Mapping[str, str]
"""From the letter of a column ("p") to the dimension that its rates are named by ("prompt_following")."""
BEST = 3
_FINE = ("Nothing needs to be changed.", "It can stay as it is.", "No change is needed.")
_WHOLE = ({"information_richness"}, ("It leaves nothing out.", "It is complete.", "All is there."))
_RIGHT = {"objective_rules", "prompt_following", "consistency"}
_OF_WORDS = (
    (
        _RIGHT,
        ("What it says is right.", "Nothing in it is wrong.", "It is correct.", "It gets everything right."),
    ),
    _WHOLE,
    ({"clarity", "safety"}, ("It is clear and to the point.", "It reads well.", "It is easy to follow.")),
)
_OF_PICTURES = (
    (_RIGHT, ("It shows what was asked for.", "It follows the prompt.", "It is just as it was asked for.")),
    _WHOLE,
)
"""What is good about a reply without a fault in these dimensions."""


def feedback(reply: Reply, rng: Random) -> Feedback:
    """What is good and bad about it, and how to do it better, in words that name its mistakes."""
    faulty = {fault.dimension for fault in reply.mistakes}
    good = _OF_WORDS if reply.text else _OF_PICTURES
    strengths = [rng.choice(words) for dimensions, words in good if not dimensions & faulty]
    weaknesses = [_sentence(fault.critique) for fault in reply.mistakes]
    if weaknesses and strengths:
        strengths = [rng.choice(strengths)]
    both = [strengths, weaknesses] if rng.random() < 0.5 else [weaknesses, strengths]
    advice = [fault.refinement for fault in reply.mistakes] or [rng.choice(_FINE)]
    return Feedback(critique=" ".join(text for texts in both for text in texts), refinement=" ".join(advice))


def annotate(pair: tuple[Reply, Reply], winner: int, dimensions: Dimensions, of: str) -> dict[str, Any]:
    """Winners, rates and rationales by dimension, in align-anything's columns (`p_response`, ...: `of`).

    Rates are 3 less what the mistakes cost. An annotator who names the wrong `winner` (1 or 2) has mistaken
    one reply for the other, and rates them so.
    """
    true = 1 if pair[0].loss < pair[1].loss else 2
    rated = pair if winner == true else pair[::-1]
    row: dict[str, Any] = {}
    for letter, dimension in dimensions.items():
        one, two = (_rate(reply, dimension) for reply in rated)
        row[f"{letter}_{of}"] = 1 if one > two else 2 if two > one else 0
        row[f"{dimension}_rate_1"], row[f"{dimension}_rate_2"] = one, two
        for n, reply in enumerate(pair, start=1):
            row[f"{letter}_rationale_{n}"] = _rationale(reply, dimension)
    return row


def overall(pair: tuple[Reply, Reply], exchange: Exchange) -> str:
    """Why the better reply is better, and how."""
    reason = " ".join(
        f"Response {n}: {_clauses(reply.mistakes) or 'no fault'}." for n, reply in enumerate(pair, start=1)
    )
    return f"##Reason: {reason} ##Refinement: {' '.join(f.refinement for f in exchange.worse.mistakes)}"


def _rate(reply: Reply, dimension: str) -> int:
    return max(0, BEST - sum(fault.loss for fault in reply.mistakes if fault.dimension == dimension))


def _rationale(reply: Reply, dimension: str) -> str:
    faults = tuple(fault for fault in reply.mistakes if fault.dimension == dimension)
    return _sentence(_clauses(faults)) if faults else "No fault in this respect."


def _clauses(faults: tuple[Mistake, ...]) -> str:
    return "; ".join(fault.critique for fault in faults)


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."
