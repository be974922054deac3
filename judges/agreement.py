"""How well two lists of what is seen, or of what is heard, agree; from texts, prompts and known scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval_anything.synth.parse import Mentions, ObjectMention, SoundMention
from eval_anything.synth.scene import GRID, Scene

_BARE = 0.5
"""What a thing of the right kind is worth whose stated details are all wrong."""


def stated(scene: Scene) -> Mentions:
    """A scene as a text that leaves nothing open; a picture says nothing of motion."""
    return Mentions(
        tuple(
            ObjectMention(o.shape, o.colour, o.size, (o.cell,), o.motion if scene.video else None)
            for o in scene.objects
        ),
        tuple(SoundMention(sound.timbre, sound.pitch) for sound in scene.sounds),
    )


def details(asked: ObjectMention, found: ObjectMention) -> float:
    """0..1: the share of the details that `asked` states in which `found` agrees; 1 where it states none.

    What `found` leaves open does not agree.
    """
    agree = [
        getattr(found, name) == value
        for name in ("colour", "size", "motion")
        if (value := getattr(asked, name)) is not None
    ]
    agree += [bool(set(asked.cells) & set(found.cells))] if asked.cells else []
    return sum(agree) / len(agree) if agree else 1.0


@dataclass(frozen=True, slots=True)
class Matched:
    """Objects that were asked for, and which of those found stands for each."""

    asked: Sequence[ObjectMention]
    found: Sequence[ObjectMention]
    partner: dict[int, int]
    """Index in `asked` -> index in `found`."""

    @property
    def elements(self) -> float:
        """0..1: the share of the objects asked for that are there, whatever they look like."""
        return len(self.partner) / len(self.asked)

    @property
    def details(self) -> float:
        """0..1: in which share of their stated details they agree; what is not there agrees in none."""
        right = (details(self.asked[i], self.found[j]) for i, j in self.partner.items())
        return sum(right) / len(self.asked)

    @property
    def arrangement(self) -> float:
        """0..1: the share of pairs that are both there and lie to each other as asked."""
        n = len(self.asked)
        if n == 1:
            return self.elements
        held = sum(self._lies_right(i, k) for i in range(n) for k in range(i))
        return held / (n * (n - 1) / 2)

    @property
    def extra(self) -> float:
        """0..1: the share of what was found that nobody asked for."""
        return 1 - len(self.partner) / len(self.found) if self.found else 0.0

    def _lies_right(self, i: int, k: int) -> bool:
        if i not in self.partner or k not in self.partner:
            return False
        wanted = _direction(self.asked[i], self.asked[k])
        return wanted is None or wanted == _direction(
            self.found[self.partner[i]], self.found[self.partner[k]]
        )


def match(asked: Sequence[ObjectMention], found: Sequence[ObjectMention]) -> Matched:
    """Pair objects of one shape, those that agree in most details first; each is used once."""
    pairs = sorted(
        (-details(one, other), i, j)
        for i, one in enumerate(asked)
        for j, other in enumerate(found)
        if one.shape == other.shape
    )
    partner: dict[int, int] = {}
    used: set[int] = set()
    for _, i, j in pairs:
        if i not in partner and j not in used:
            partner[i] = j
            used.add(j)
    return Matched(asked, found, partner)


def seen_alike(asked: Sequence[ObjectMention], found: Sequence[ObjectMention]) -> float:
    """0..1: F1 over objects, each pair worth half for its shape and half for the details that `asked` states.

    0 where one of them has none.
    """
    matched = match(asked, found)
    worth = (_BARE + (1 - _BARE) * details(asked[i], found[j]) for i, j in matched.partner.items())
    return 2 * sum(worth) / (len(asked) + len(found)) if asked and found else 0.0


def heard_alike(asked: Sequence[SoundMention], found: Sequence[SoundMention]) -> float:
    """0..1: F1 over the sounds that both have in the same order; 0 where one of them has none."""
    return 2 * common(asked, found) / (len(asked) + len(found)) if asked and found else 0.0


def common(asked: Sequence[SoundMention], found: Sequence[SoundMention]) -> float:
    """Weight of the best common subsequence: 1 for each sound, less where the pitch asked for is another."""
    row = [0.0] * (len(found) + 1)
    for one in asked:
        above, row = row, [0.0]
        for j, other in enumerate(found):
            worth = 0.0
            if one.timbre == other.timbre:
                worth = 1.0 if one.pitch in (None, other.pitch) else _BARE
            row.append(max(above[j] + worth, above[j + 1], row[j]))
    return row[-1]


def coverage(asked: Mentions, said: Mentions) -> float:
    """0..1: how much of `asked`, of which there is some, `said` has; what it has besides costs nothing."""
    matched = match(asked.objects, said.objects)
    objects = sum(
        _BARE + (1 - _BARE) * details(asked.objects[i], said.objects[j]) for i, j in matched.partner.items()
    )
    total = len(asked.objects) + len(asked.sounds)
    return (objects + common(asked.sounds, said.sounds)) / total


def _direction(one: ObjectMention, other: ObjectMention) -> tuple[int, int] | None:
    """Signs of the way from one to the other, down and right; None where a place is not exactly known."""
    if len(one.cells) != 1 or len(other.cells) != 1:
        return None
    (a, b), (c, d) = divmod(one.cells[0], GRID), divmod(other.cells[0], GRID)
    return ((c > a) - (c < a), (d > b) - (d < b))
