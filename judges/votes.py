"""`votes`: the share of people who chose the combination of modalities that the model chose.

AMG, modality selection: 25 people said in which of text (t), image (i) and audio (a) an instruction is best
answered. Protocol: Align Anything (arXiv 2412.15838), section 4 and appendix 12.2.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from eval_anything.judge import Case, Judge
from eval_anything.values import Modality, Score

NOT_BY_VOTES = "a choice of modalities is judged by votes"
_LETTERS: dict[Modality, str] = {"text": "t", "image": "i", "audio": "a", "video": "v"}
_PAIRS = {"alpha text-image": "ti", "alpha text-audio": "ta", "alpha image-audio": "ia"}
ALPHAS = tuple(_PAIRS)
"""Components that the overall formula of AMG needs, one for each pair of modalities."""


class VotesJudge(Judge):
    """The vote share of what was chosen; whether a tool then succeeded plays no part."""

    name = "votes"
    summary = "share of human votes for the modalities that were chosen; offline, no model"

    async def score(self, case: Case) -> Score:
        votes = msgspec.convert(case.sample.metadata.get("selection", {}), dict[str, float])
        if not votes:
            reason = f"sample {case.sample.id}: no votes to compare with"
            return Score(value=None, state="judge_error", reason=reason, judge=self.label)
        chosen = combination(case.response.modalities)
        share = votes.get(chosen, 0.0)
        best = max(votes, key=lambda name: votes[name])
        regret = votes[best] - share
        bits = entropy(votes)
        return Score(
            value=share,
            state="scored",
            judge=self.label,
            details={"chosen": chosen, "best": best, "regret": regret, "entropy_bits": bits, "votes": votes},
            components={
                **alphas(chosen, share),
                "regret": regret,
                "entropy of the votes in bits": bits,
                **{f"share of the votes/{name}": votes[name] for name in votes},
                **{f"share of the choices/{name}": float(name == chosen) for name in votes},
                "share of the choices/other": float(chosen not in votes),
            },
        )


def about_choice(case: Case) -> bool:
    """Whether the sample asks in which modalities to answer: a judge of how well they go together would give
    such a choice a number that is no share of votes."""
    return bool(case.sample.metadata.get("selection"))


def combination(modalities: tuple[Modality, ...]) -> str:
    """ "tia" of text, image and audio; "t" where there is nothing, as in the published scripts.

    Video, which nobody could vote for, comes last: "tv".
    """
    return "".join(mark for modality, mark in _LETTERS.items() if modality in modalities) or "t"


def alphas(chosen: str, share: float) -> dict[str, float]:
    """What one item gives each pair of modalities in the overall formula, by ALPHAS.

    The pair that was chosen gets the share of its votes; where all three were chosen, each pair gets a third
    of theirs (Align Anything, section 4).
    """
    third = share / 3 if chosen == "tia" else 0.0
    return {name: share if chosen == pair else third for name, pair in _PAIRS.items()}


def entropy(votes: Mapping[str, float]) -> float:
    """In bits: 0 where all agree, log2 of the number of combinations where nobody agrees."""
    total = math.fsum(votes.values())
    shares = [vote / total for vote in votes.values() if vote > 0]
    return max(0.0, -math.fsum(share * math.log2(share) for share in shares))
