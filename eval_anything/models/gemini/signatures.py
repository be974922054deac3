"""Signatures of thoughts: opaque bytes beside a function call, which the model wants back with it.

Newer models refuse a conversation whose calls lack them. They have no place in a message of ours, so they are
kept here for the time of a run, by the conversation up to the call.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from eval_anything.values import Message, Part, ToolCall

_KEPT = 4096
# What the API's makers document for a call whose signature is lost (here: its reply came from a cache). The
# library writes signatures in base64, which these bytes become the word in.
_LOST = base64.urlsafe_b64decode("skip_thought_signature_validator")
_JSON = msgspec.json.Encoder()


class Signatures:
    """Those of the calls that were made last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, bytes | None] = OrderedDict()

    def keep(self, messages: Sequence[Message], calls: Sequence[tuple[ToolCall, bytes | None]]) -> None:
        """`calls`: the reply to `messages`, each with its signature, or None where it has none."""
        if not calls:
            return
        talk = _digest(messages)
        for number, (call, signature) in enumerate(calls):
            self._kept[_key(talk, number, call)] = signature
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def of(self, messages: Sequence[Message], reply: Iterable[Part], *, invent: bool) -> Mapping[int, bytes]:
        """Signatures of the calls in `reply` to `messages`, by their places in it.

        With `invent`, a reply that is not known gets the sign for a lost one on its first call, as the others
        of a turn have none.
        """
        calls = [(place, part) for place, part in enumerate(reply) if isinstance(part, ToolCall)]
        if not calls:
            return {}
        talk = _digest(messages)
        found: dict[int, bytes] = {}
        for number, (place, call) in enumerate(calls):
            lost = _LOST if invent and number == 0 else None
            if signature := self._kept.get(_key(talk, number, call), lost):
                found[place] = signature
        return found


def _digest(messages: Sequence[Message]) -> bytes:
    return hashlib.sha256(_JSON.encode(messages)).digest()


def _key(talk: bytes, number: int, call: ToolCall) -> bytes:
    # Not by its id: agents give calls ids of their own.
    return hashlib.sha256(talk + _JSON.encode((number, call.name, call.arguments))).digest()
