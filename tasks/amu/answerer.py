"""An answerer that knows the truth about the modalities that it is given, and guesses nothing.

It is the yardstick of the twin and of its judge: with every modality it must score near the top, and
without one of them clearly lower.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from eval_anything.synth import describe
from eval_anything.synth.scene import Scene


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one item of the twin; one value of `truth.json`."""

    scene: Scene
    family: str
    """Which kind of question it is, "count" say."""
    answer: str
    """A right answer, in words that none of the references need share."""


def truthful_answer(truth: Truth, modalities: Collection[str]) -> str:
    """The best honest answer of one who is given `modalities` ("image", "video", "audio").

    With all that the item has, the right answer; otherwise what is seen or heard, and what cannot be said.
    """
    sees = ("video" if truth.scene.video else "image") in modalities
    hears = "audio" in modalities
    if sees and hears:
        return truth.answer
    medium = "video" if truth.scene.video else "picture"
    if sees:
        known, lacking = f"I see {describe.objects_phrase(truth.scene)}", "recording"
    elif hears:
        known, lacking = f"I hear {describe.sounds_phrase(truth.scene.sounds)}", medium
    else:
        return f"I was given neither a {medium} nor a recording, so I cannot say."
    return f"{known}. I was given no {lacking}, so I cannot say more."
