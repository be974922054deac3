"""Answers as comparable words: normalised tokens, word pairs, and the facts that they state."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

MAX_CHARS = 10_000
"""Only so much of an answer is read, which bounds the time that hostile text can take."""

_CHUNK = 256
_MODIFIERS_READ = 3


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: str(n) for n, word in enumerate(_NUMBER_WORDS.split())} | {"once": "1", "twice": "2"}
COLOURS = _set("red orange yellow green blue purple violet pink white black brown grey cyan golden silver")
DIRECTIONS = _set("left right up down")
_SPELLINGS = {
    "per": "each",
    "every": "each",
    "color": "colour",
    "gray": "grey",
    "center": "centre",
    "gold": "golden",
}
_MODIFIERS = COLOURS | _set("small large big little tall short same different more fewer less")
_FRAME = _set(
    "picture image photo video clip recording audio show shows shown see sees seen hear hears heard"
)
_STOP = _FRAME | _set(
    "a an the this that these those it its i you we they he she is are was were be been being am do does did "
    "has have had can could will would there here in on at of to for from by with as and or but so than then "
    "which what who how because since while also very just some any my your their our me us them's s"
)
_KEPT = _STOP | _MODIFIERS | DIRECTIONS | _set("each yes no")
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[.;,:!?()/|\n]")
_ASSIGNED = re.compile(r"\b([^\W\d_]{1,40}) ?[=:] ?(\d{1,9})\b")
_LIST_NUMBER = re.compile(r"^ *\d+[.)] ", re.MULTILINE)

Fact = tuple[str, str]
"""A number, a colour or "more", and the word that it is said of: ("3", "object"), ("red", "circle")."""


@dataclass(frozen=True)
class Words:
    """What a text says, order and wording mostly forgotten."""

    tokens: tuple[str, ...]
    """Content words in order: stemmed, number words as digits, function words left out."""
    features: frozenset[str]
    """Tokens and pairs of neighbours."""
    facts: tuple[Fact, ...]
    line: str
    """The tokens with a space before, between and after."""
    polarity: str
    """ "yes" or "no" where the text begins with it, otherwise empty."""

    def holds(self, phrase: Sequence[str]) -> float:
        """How far a phrase of tokens is stated: 1 as it stands, 0.6 with its words apart, else in part."""
        if f" {' '.join(phrase)} " in self.line or tuple(phrase) in self.facts:
            return 1.0
        return (0.6 if len(phrase) > 1 else 0.0) * self._share(phrase)

    def _share(self, phrase: Sequence[str]) -> float:
        found = sum(token in self.features for token in phrase)
        return 1.0 if found == len(phrase) else 0.5 * found / len(phrase)


def words(text: str) -> Words:
    """Read at most MAX_CHARS of `text`."""
    clauses = list(_clauses(text))
    tokens = tuple(token for clause in clauses for token in clause if token not in _STOP)
    pairs = (f"{one} {other}" for one, other in pairwise(tokens))
    facts = tuple(fact for clause in clauses for fact in _facts(clause))
    return Words(tokens, frozenset((*tokens, *pairs)), facts, f" {' '.join(tokens)} ", _polarity(clauses))


def is_number(token: str) -> bool:
    return token.isdecimal() or token == "no"


def likeness(said: Words, reference: Words) -> float:
    """F2 of the features, 0..1: to leave out what the reference says costs more than to say more than it."""
    total = len(said.features) + 4 * len(reference.features)
    return 5 * len(said.features & reference.features) / total if total else 0.0


def _clauses(text: str) -> Iterator[list[str]]:
    """Normalised tokens, function words included, split where a thought may end."""
    plain = _plain(text[:MAX_CHARS])
    plain = _LIST_NUMBER.sub("", plain[:MAX_CHARS])  # again, as one character may normalise to eighteen
    plain = _ASSIGNED.sub(r"\2 \1 ;", plain)  # "objects = 3" says the same as "3 objects"
    clause: list[str] = []
    for token in _TOKEN.findall(plain):
        if len(token) == 1 and not token.isalnum():
            if clause:
                yield clause
            clause = []
        else:
            clause.append(_stem(token))
    if clause:
        yield clause


def _plain(text: str) -> str:
    """Compatible characters made one, small letters. In chunks, as long runs of marks cost their square."""
    if not text.isascii():
        chunks = (text[i : i + _CHUNK] for i in range(0, len(text), _CHUNK))
        text = "".join(unicodedata.normalize("NFKC", chunk) for chunk in chunks)
    return text.casefold().replace("\u2019", "'")


def _facts(clause: Sequence[str]) -> Iterator[Fact]:
    for i, token in enumerate(clause):
        counts = is_number(token)
        if not (counts or token in COLOURS or token == "more"):
            continue
        noun, between, after = _noun(clause, i + 1)
        if not noun:
            continue
        if counts and ("more" in between or "each" in after or clause[max(i - 1, 0)] == "by"):
            continue  # "two more objects" and "one sound for each object" count no objects and no sounds
        yield ("0" if token == "no" else token, noun)


def _noun(clause: Sequence[str], start: int) -> tuple[str, Sequence[str], Sequence[str]]:
    """The word that an attribute before `start` is said of, what stands between, and what follows."""
    i = start
    while i < min(len(clause), start + _MODIFIERS_READ) and clause[i] in _MODIFIERS:
        i += 1
    if i >= len(clause) or clause[i] in _STOP or is_number(clause[i]):
        return "", (), ()
    return clause[i], clause[start:i], clause[i + 1 : i + 3]


def _polarity(clauses: Sequence[Sequence[str]]) -> str:
    """A "no" that goes on ("no sounds are heard") answers nothing."""
    if not clauses:
        return ""
    first = clauses[0]
    if first[0] == "yes":
        return "yes"
    return "no" if first[0] == "no" and (len(first) == 1 or first[1] in ("there", "i", "it")) else ""


@lru_cache(maxsize=1 << 16)
def _stem(token: str) -> str:
    """One form for the forms of a word; crude, but the same on both sides."""
    token = token.removesuffix("'s")
    token = _NUMBERS.get(token, _SPELLINGS.get(token, token))
    if token in _KEPT or not token.isascii():
        return token
    token = _singular(token)
    for suffix, shortest in (("ing", 6), ("ed", 5)):
        if token.endswith(suffix) and len(token) >= shortest:
            token = token.removesuffix(suffix)
            if len(token) > 3 and token[-1] == token[-2] and token[-1] not in "lsz":
                token = token[:-1]
            break
    return token[:-1] if len(token) > 3 and token.endswith("e") else token


def _singular(token: str) -> str:
    if token.endswith("ies") and len(token) > 4:
        return f"{token[:-3]}y"
    if token.endswith(("sses", "zzes", "shes", "ches", "xes")):
        return token[:-2]
    if token.endswith("s") and len(token) > 3 and not token.endswith(("ss", "us", "is")):
        return token[:-1]
    return token
