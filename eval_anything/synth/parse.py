"""Text in the vocabulary of scenes, read back: what a prompt asks for, what an answer says is there.

Reading is by phrases, not by grammar: each noun of the vocabulary (a shape or a sound) takes the words
before it up to the last article, number or joint, and the place and motion that follow it. Words
outside the vocabulary are passed over, so any text can be read, in time linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import TypeVar, cast

import msgspec

from eval_anything.synth.describe import NUMBERS, plural
from eval_anything.synth.scene import (
    CELLS,
    COLOURS,
    GRID,
    MOTIONS,
    PITCHES,
    SHAPES,
    SIZES,
    TIMBRES,
    Colour,
    Motion,
    Object,
    Pitch,
    Scene,
    Shape,
    Size,
    Sound,
    Timbre,
    scene,
)

T = TypeVar("T")

MOST = 50
"""No text is taken to mention more objects, or more sounds, than this."""
MOST_SOUNDS = 12
"""What a prompt gets at most: 6 seconds of sounds, and one object to a cell."""


class ObjectMention(msgspec.Struct, frozen=True, omit_defaults=True):
    """One object of a text. None and empty: the text does not say."""

    shape: Shape
    colour: Colour | None = None
    size: Size | None = None
    cells: tuple[int, ...] = ()
    """Indices into CELLS where it can be: one for "in the top left", three for "at the top"."""
    motion: Motion | None = None


class SoundMention(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sound event of a text."""

    timbre: Timbre
    pitch: Pitch | None = None


class Mentions(msgspec.Struct, frozen=True):
    """What a text says is there, in its order; "three beeps" are three entries."""

    objects: tuple[ObjectMention, ...] = ()
    sounds: tuple[SoundMention, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.objects or self.sounds)


def understood(prompt: str) -> bool:
    """Whether a prompt names any object or sound of the vocabulary."""
    return bool(mentions(prompt))


def mentions(text: str) -> Mentions:
    """The objects and sounds that a text states, each with the attributes that it states.

    A definite singular ("the circle moves left") adds to the latest object before it that it fits, rather
    than being one more. "No beeps" mentions nothing.
    """
    objects: list[ObjectMention] = []
    sounds: list[SoundMention] = []
    for phrase in _phrases(_tokens(text)):
        before, after = phrase.before, phrase.after
        if phrase.noun in SHAPES:
            said = ObjectMention(
                phrase.noun,
                _first(before, _COLOUR) or _first(after, _COLOUR),
                _first(before, _SIZE) or _first(after, _SIZE),
                _place(before + after),
                _motion(before + after),
            )
            if phrase.definite and _add_to_known(objects, said):
                continue
            objects += [said] * min(phrase.count, MOST - len(objects))
        else:
            sound = SoundMention(cast(Timbre, phrase.noun), _first(before, _PITCH) or _first(after, _PITCH))
            if phrase.definite and any(known.timbre == sound.timbre for known in sounds):
                continue
            sounds += [sound] * min(phrase.count, MOST - len(sounds))
    return Mentions(tuple(objects), tuple(sounds))


def scene_from_prompt(prompt: str, seed: int, *, video: bool = False) -> Scene:
    """The scene that a prompt asks for; what it leaves open is drawn by `seed`.

    A prompt that names sounds alone gives no objects, and the other way round; one that names neither
    (`understood` says so) gives a random scene. Motion is kept only where `video` is true.
    """
    asked, rng = mentions(prompt), Random(seed)
    if not asked:
        return scene(rng, video=video)
    sounds = tuple(Sound(s.timbre, _drawn(s.pitch, PITCHES, rng)) for s in asked.sounds[:MOST_SOUNDS])
    return Scene(_placed(asked.objects[: len(CELLS)], rng, video), sounds, video)


def _placed(asked: tuple[ObjectMention, ...], rng: Random, video: bool) -> tuple[Object, ...]:
    """Objects for mentions, each in a cell of its own, in reading order; the most constrained first."""
    free = list(range(len(CELLS)))
    looks: set[tuple[Shape, Colour | None]] = {(m.shape, m.colour) for m in asked if m.colour is not None}
    objects = []
    for mention in sorted(asked, key=lambda m: len(m.cells) or len(CELLS)):
        cell = rng.choice([c for c in mention.cells if c in free] or free)
        free.remove(cell)
        new = [c for c in COLOURS if (mention.shape, c) not in looks]
        colour = _drawn(mention.colour, new or COLOURS, rng)
        looks.add((mention.shape, colour))
        motion = _drawn(mention.motion, MOTIONS, rng) if video else "still"
        objects.append(Object(mention.shape, colour, _drawn(mention.size, SIZES, rng), cell, motion))
    return tuple(sorted(objects, key=lambda o: o.cell))


def _drawn(stated: T | None, choices: Sequence[T], rng: Random) -> T:
    return rng.choice(choices) if stated is None else stated


class _Phrase(msgspec.Struct):
    """One noun with what belongs to it."""

    noun: str
    count: int = 1
    definite: bool = False
    before: list[str] = []
    after: list[str] = []


_NOUNS: dict[str, str] = {
    form: noun
    for noun in (*SHAPES, *TIMBRES)
    for form in (noun, plural(noun, 2), *((f"{noun}ing",) if noun in ("beep", "buzz", "hiss") else ()))
}
_COLOUR: dict[str, Colour] = {colour: colour for colour in COLOURS}
_SIZE: dict[str, Size] = {
    "small": "small", "little": "small", "tiny": "small", "large": "large", "big": "large", "huge": "large",
}  # fmt: skip
_PITCH: dict[str, Pitch] = {
    "low": "low", "lower": "low", "deep": "low", "high": "high", "higher": "high",
}  # fmt: skip
_COUNT: dict[str, int] = {"no": 0, "a": 1, "an": 1, "the": 1} | {word: n for n, word in enumerate(NUMBERS)}
_TIMES: dict[str, int] = {"once": 1, "twice": 2, "thrice": 3}
_JOINTS = frozenset(".,;:!?()") | {
    "and", "or", "then", "with", "in", "on", "at", "of", "to", "is", "are", "was", "were", "by", "from",
    "followed", "after", "before", "that", "which", "it", "times",
}  # fmt: skip

_WAY: dict[str, Motion] = {
    "left": "left", "leftward": "left", "leftwards": "left", "right": "right", "rightward": "right",
    "rightwards": "right", "up": "up", "upward": "up", "upwards": "up", "down": "down", "downward": "down",
    "downwards": "down",
}  # fmt: skip
_VERB = "(?:moving|moves|move|going|goes|go|sliding|slides|drifting|drifts|travelling|travels)"
_STILL = re.compile(
    rf"\b(?:(?:standing|stands|stand|staying|stays|holding|holds|keeps) still|(?:not|never) {_VERB}"
    r"|does not move|motionless|stationary)\b"
)
_FROM_TO = re.compile(
    r"\bfrom (?:the )?(?:left to (?:the )?(right)|right to (?:the )?(left)"
    r"|top to (?:the )?(bottom)|bottom to (?:the )?(top))\b"
)
_MOVING = re.compile(rf"\b{_VERB} (?:to |towards? )?(?:the )?({'|'.join(_WAY)})\b")
_WARDS = re.compile(r"\b((?:left|right|up|down)wards?)\b")
_SIDE: dict[str, str] = {
    "top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom", "left": "left", "right": "right",
    "middle": "middle", "centre": "middle", "center": "middle", "central": "middle",
}  # fmt: skip
_WORD = "|".join(_SIDE)
# One word alone is a place only after a preposition or article: "right, I see", "two left".
_PLACE = re.compile(rf"\b(?:({_WORD}) ({_WORD})|(?<=the )({_WORD})|(?:at|on|in) ({_WORD})|(centre|center))\b")
_RELATION = re.compile(r"#\d* of (?=(?:the|an?) (?:[a-z]+ ){0,3}(?:" + "|".join(_NOUNS) + r")\b)")


def _tokens(text: str) -> list[str]:
    """Words, numbers and stops; a motion as "@left", a place as "#" and the indices of its cells."""
    words = " ".join(re.findall(r"[a-z]+|[0-9]+|[.,;:!?()]", text.lower()))
    words = _STILL.sub("@still", words)
    words = _FROM_TO.sub(_crossing, words)
    words = _MOVING.sub(lambda found: f"@{_WAY[found[1]]}", words)
    words = _WARDS.sub(lambda found: f"@{_WAY[found[1]]}", words)
    words = _PLACE.sub(_cells, words)
    # "left of the star" says where it is in relation to another object, not where in the picture.
    return _RELATION.sub("of ", words).split()


def _crossing(found: re.Match[str]) -> str:
    end: str = next(filter(None, found.groups()))
    return "@" + {"bottom": "down", "top": "up"}.get(end, end)


def _cells(found: re.Match[str]) -> str:
    words = {_SIDE[word] for word in found.groups() if word}
    row = {"top": 0, "bottom": 2}.get(next(iter(words & {"top", "bottom"}), ""))
    column = {"left": 0, "right": 2}.get(next(iter(words & {"left", "right"}), ""))
    if "middle" in words:
        row = 1 if row is None else row
        column = 1 if column is None else column
    cells = (c for c in range(GRID * GRID) if row in (None, c // GRID) and column in (None, c % GRID))
    return "#" + "".join(map(str, cells))


def _phrases(tokens: list[str]) -> list[_Phrase]:
    """The nouns of a text, each with the words before and after it that are its own."""
    phrases: list[_Phrase] = []
    start = 0  # of the tokens that no noun has taken yet
    for i, token in enumerate(tokens):
        if token not in _NOUNS or (token in ("ring", "rings") and i and tokens[i - 1] in ("bell", "bells")):
            continue
        phrase = _Phrase(_NOUNS[token], before=[], after=[])
        begin = _begin(tokens, start, i)
        phrase.before = tokens[begin:i]
        phrase.count = _count(phrase.before)
        phrase.definite = phrase.before[:1] == ["the"] and token == phrase.noun
        between = tokens[start:begin]
        _share(between, phrases[-1] if phrases else None, phrase)
        phrases.append(phrase)
        start = i + 1
    if phrases:
        _share(tokens[start:], phrases[-1], None)
    return phrases


def _begin(tokens: list[str], start: int, noun: int) -> int:
    """Where the words before a noun begin: at its article or number, or after the last joint."""
    begin = noun
    while begin > start and tokens[begin - 1] not in _JOINTS and tokens[begin - 1][0] != "@":
        begin -= 1
        if tokens[begin] in _COUNT or tokens[begin].isdigit():
            break
    return begin


def _share(between: list[str], last: _Phrase | None, following: _Phrase | None) -> None:
    """Give the words between two nouns to the one that they speak of: the last, up to a full stop.

    Where a sentence begins with a place ("in the top left there is a ring"), the place is of the noun to
    come, and so are the places after it in that sentence.
    """
    stop = max((i for i, token in enumerate(between) if token in (".", ";", "!", "?")), default=-1)
    ahead = between if last is None else between[stop + 1 :] if stop >= 0 else []
    behind = [] if last is None else between[: stop if stop >= 0 else None]
    if last is not None and following is not None and stop < 0 and last.before[:1] == ["#"]:
        ahead, behind = between, []
    if last is not None:
        last.after += [t for t in behind if t not in _COUNT]
        _repeat(last, behind)
    if following is not None and _place(ahead):
        # The mark tells that this sentence puts places first; it reads as a place of no cells.
        following.before = ["#", *(t for t in ahead if t[0] == "#"), *following.before]


def _repeat(phrase: _Phrase, after: list[str]) -> None:
    """ "beeps twice", "rings three times"."""
    for i, token in enumerate(after):
        n = _TIMES.get(token)
        if token == "times" and i:
            n = _number(after[i - 1])
        if n is not None:
            phrase.count = n
            return


def _count(before: list[str]) -> int:
    n = _number(before[0]) if before else None
    return 1 if n is None else n


def _number(token: str) -> int | None:
    if token.isdigit():
        return min(int(token[:4]), MOST)
    return _COUNT.get(token)


def _first(tokens: Iterable[str], words: Mapping[str, T]) -> T | None:
    return next((words[token] for token in tokens if token in words), None)


def _place(tokens: Iterable[str]) -> tuple[int, ...]:
    return next((tuple(map(int, token[1:])) for token in tokens if token[0] == "#" and token != "#"), ())


def _motion(tokens: Iterable[str]) -> Motion | None:
    return next((cast(Motion, token[1:]) for token in tokens if token[0] == "@"), None)


def _add_to_known(known: list[ObjectMention], said: ObjectMention) -> bool:
    """Complete the latest mention that `said` does not contradict; False where there is none."""
    for i in reversed(range(len(known))):
        both = [(getattr(known[i], f), getattr(said, f)) for f in said.__struct_fields__]
        if all(not a or not b or a == b for a, b in both):
            merged = {f: a or b for f, (a, b) in zip(said.__struct_fields__, both, strict=True)}
            known[i] = ObjectMention(**merged)
            return True
    return False
