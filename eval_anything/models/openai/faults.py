"""HTTP failures as model errors, in one line each, without keys and without control characters."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from eval_anything.errors import BadRequest, Forbidden, ModelError, RateLimited, ServerFault, TransportFault
from eval_anything.models.openai.address import without_credentials

_SHOWN_CHARS = 300
_READ_BYTES = 20_000


def excerpt(text: str, secrets: Sequence[str]) -> str:
    """At most 300 characters of hostile text, on one line, secrets blanked out.

    Secrets go first: cutting first could leave the better part of a key at the cut.
    """
    for secret in secrets:
        text = text.replace(secret, "[key]")
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * _SHOWN_CHARS])
    line = " ".join(printable.split())
    return line if len(line) <= _SHOWN_CHARS else line[:_SHOWN_CHARS] + "..."


def http_fault(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], where: str
) -> ModelError:
    """The error behind a reply with `status` outside of 200..299; `where` is the server's address."""
    if 300 <= status < 400:
        target = excerpt(without_credentials(headers.get("Location", "")), secrets)
        return BadRequest(
            f"{where}: HTTP {status}: redirects to {target or 'nowhere'}, which is not followed with "
            "the key; give that as base_url if it is right"
        )
    said = excerpt(server_message(body), secrets)
    line = f"{where}: HTTP {status}: {said or 'no message'}"
    if status in (401, 403):
        return Forbidden(line)
    if status in (429, 503):
        return RateLimited(line, retry_after_s(headers.get("Retry-After", ""), time.time()))
    if status == 408:  # the server gave up waiting, as a client's own timeout would
        return TransportFault(line)
    return ServerFault(line) if status >= 500 else BadRequest(line)


def server_message(body: bytes) -> str:
    """What the server says went wrong: the usual JSON fields if they are there, else the body's beginning."""
    text = body[:_READ_BYTES].decode("utf-8", "replace")
    try:
        reply: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return text
    for field in ("error", "message", "detail"):
        if isinstance(reply, dict) and (said := reply.get(field)):
            if isinstance(said, dict):
                said = said.get("message", said)
            return said if isinstance(said, str) else msgspec.json.encode(said).decode()
    return text


def retry_after_s(header: str, now: float) -> float | None:
    """Seconds to wait, from a Retry-After header in seconds or as an HTTP date; None if it is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
