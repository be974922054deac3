"""Which option does a reply to a multiple-choice question choose?

Read strictly: a reply that names two options, and does not say which one it means in the end, chooses none.
"""

from __future__ import annotations

import re
from functools import lru_cache

from eval_anything.models.reasoning import split_reasoning

_READ_CHARS = 4000
"""A reply is one letter, or a few sentences; the rest of a longer one is not read."""
_LATEX = re.compile(r"\\(?:boxed|text(?:bf|it|rm)?|math(?:bf|it|rm)?)\s*(?=\{)")
_MARKUP = re.compile(r"[*_`$~]+")
_BOXED = "BOXED"
_VERB = r"(?:is|was|are|would|must|should|could|can|be|seems|looks|of|to|:|=)"
_HINT = r"(?:option|choice|letter|answer|number)?"
_IN_WORDS = r"A-Za-z0-9_\u00c0-\u024f"
"""What words of the alphabet of the options are made of; a Chinese word may stand next to one."""
_OPEN = r"[\s\"'(\[{<:=-]*"
_STATEMENTS = (
    rf"(?:{_BOXED}|final\s+(?:answer|choice))",
    r"(?:answer|correct(?:\s+(?:option|choice|one))?|(?:right|best)\s+(?:option|choice|one))",
    r"(?:\bit(?:'s| is| must be| has to be)"
    r"|\bi(?:'d| would|'ll| will)?(?: say| choose| pick| select| go with| chose)"
    r"|\bchoose|\bselect|\bpick|\btherefore|\bhence|\bthus|\bso)",
)
"""How replies announce what they mean, the most binding first."""
_IS_RIGHT = (
    r"[\"')\]]*\s+(?:is|seems|must be|would be)\s+(?:clearly\s+)?(?:the\s+)?(?:correct|right|best|answer)\b"
)
_NOT_AFTER = (
    r"(?:'s|\s|\bis\b|\bwas\b|\bare\b|\bseems\b|\blooks\b|\bwould be\b|\bmust be\b|\bclearly\b|\balso\b)*"
    r"\b(?:not(?!\s+(?:option\s+)?\W?[A-Z]\b)|wrong|incorrect|false|out|impossible|unlikely"
    r"|isn't|wasn't|cannot|can't|doesn't|does not)\b"
)
_NOT_BEFORE = re.compile(
    r"\b(?:not|isn't|rather than|instead of|neither|nor|than|except|never"
    r"|eliminate[sd]?|exclude[sd]?|rule[sd]? out)"
    r"\s+(?:option\s+|choice\s+|answer\s+)?[\"'(\[]*$",
    re.IGNORECASE,
)
_WORD_AFTER = re.compile(r"[^\S\n]+[\"']?([^\W\d_]+)")
_GOES_ON = frozenset(
    (
        *("is", "was", "are", "isn't", "wasn't", "would", "seems", "looks", "fits", "matches"),
        *("and", "or", "but", "not", "than", "because", "since", "as", "for"),
    )
)
"""Words that follow a letter that names an option, and hardly the article "A" or the pronoun "I"."""
_AMBIGUOUS = frozenset("AI")
_ALTERNATIVE = re.compile(r"[\"')\]}]*\s*(?:\bor\b|\band\b|[/&])\s*[\"'(\[]*(?:option\s+)?$", re.IGNORECASE)


def letter(reply: str, letters: str = "ABCD") -> str | None:
    """The one of `letters` (upper case) that `reply` chooses; None where it chooses none or is unclear.

    Small letters count only where they can be nothing else: alone, in brackets, at the head as "c)", or as
    the end of "the answer is c".
    """
    text = _plain(reply)
    alone = re.fullmatch(r"\W*([A-Za-z])\W*", text)
    if alone is not None:
        return alone[1].upper() if alone[1].upper() in letters else None
    named = _named(text, letters)
    chosen = {name for _, name in named}
    if len(chosen) == 1:
        return chosen.pop()
    for pattern in _stating(letters):
        stated = {
            match[1].upper()
            for match in pattern.finditer(text)
            if any(match.start(1) == at for at, _ in named) and not _in_a_list(text, match.start(1), named)
        }
        if stated:
            return stated.pop() if len(stated) == 1 else None
    return None


def original_letter(reply: str) -> str | None:
    """The published scripts' rule with its quirks: "I'd say B" is D to it, the article "A" is an option."""
    text = reply.upper().strip()
    for pattern in (
        r"\b(A|B|C|D)\b",
        r"ANSWER[:\s]*(A|B|C|D)",
        r"OPTION[:\s]*(A|B|C|D)",
        r"CHOICE[:\s]*(A|B|C|D)",
    ):
        if (match := re.search(pattern, text)) is not None:
            return match[1]
    return None


def _plain(reply: str) -> str:
    """The answer without thinking, markup and typographic quotes."""
    text = split_reasoning(reply)[1][:_READ_CHARS]
    text = _LATEX.sub(lambda match: f" {_BOXED} " if match[0].startswith(r"\boxed") else " ", text)
    for mark, plain in (("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"')):
        text = text.replace(mark, plain)
    return _MARKUP.sub(" ", text).strip()


@lru_cache
def _tokens(letters: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Capital letters that stand by themselves; and small ones that can be nothing but an option."""
    one, small = f"([{re.escape(letters)}])", f"([{re.escape(letters.lower())}])"
    capital = re.compile(
        rf"(?<![{_IN_WORDS}\u00b0#+-])(?<!\w['.])(?<!\bin )(?<!key of ){one}"
        rf"(?![{_IN_WORDS}#+\u00b0]|-\w|'\w|\.\w|\s+(?:major|minor|sharp|flat)\b)"
    )
    unmistakable = re.compile(
        rf"\({small}\)|\A\W*{small}[).:](?=\s)"
        rf"|\b(?:answer|option|choice)\b(?:\s*{_VERB})*\s*[\"'(\[]*{small}[\"')\]]*[.!]?(?=\s*(?:\Z|\n))"
    )
    return capital, unmistakable


@lru_cache
def _stating(letters: str) -> tuple[re.Pattern[str], ...]:
    one = f"([{re.escape(letters + letters.lower())}])"
    final, answer, choosing = (
        rf"(?:{head})\"?(?:\s*{_VERB}\b|\s*[:=])*{_OPEN}{_HINT}{_OPEN}{one}(?!\w)" for head in _STATEMENTS
    )
    right = rf"(?<!\w){one}{_IS_RIGHT}"
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in (final, answer, right, choosing))


def _named(text: str, letters: str) -> list[tuple[int, str]]:
    """(position, letter) of the options that the text names and does not turn down in the same breath."""
    capital, unmistakable = _tokens(letters)
    found = {match.start(1): match[1] for match in capital.finditer(text) if _is_option(text, match)}
    for match in unmistakable.finditer(text):
        group = next(i for i, value in enumerate(match.groups(), 1) if value)
        found[match.start(group)] = match[group].upper()
    return sorted((at, name) for at, name in found.items() if not _turned_down(text, at))


def _is_option(text: str, match: re.Match[str]) -> bool:
    if match[1] not in _AMBIGUOUS:
        return True
    word = _WORD_AFTER.match(text, match.end())
    return word is None or (word[1].lower() in _GOES_ON and not text.isupper())


def _turned_down(text: str, at: int) -> bool:
    if _NOT_BEFORE.search(text[max(0, at - 40) : at]):
        return True
    return re.compile(rf"[\"')\]}}]*{_NOT_AFTER}", re.IGNORECASE).match(text, at + 1) is not None


def _in_a_list(text: str, at: int, named: list[tuple[int, str]]) -> bool:
    """Whether another option stands beside it: "A or B", "B/C"."""
    return any(
        _ALTERNATIVE.fullmatch(text[min(at, other) + 1 : max(at, other)])
        for other, _ in named
        if 0 < abs(other - at) <= 24
    )
