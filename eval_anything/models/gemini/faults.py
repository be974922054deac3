"""What goes wrong in a call of the library, as model errors: one line each, without keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
from google.genai.errors import APIError

from eval_anything.errors import Forbidden, GarbageReply, ModelError, TransportFault
from eval_anything.models.openai.connection import reason_of
from eval_anything.models.openai.faults import excerpt, http_fault

# A reply that is JSON of another shape ends in any of these, somewhere inside of the library.
_SHAPES = (ValueError, LookupError, TypeError, AttributeError)
CALL_FAULTS = (APIError, TimeoutError, aiohttp.ClientError, OSError, *_SHAPES)
"""What the library raises."""
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


def call_fault(fault: Exception, secrets: Sequence[str], where: str) -> ModelError:
    """The error that `fault`, which a call of the server at `where` raised, stands for."""
    match fault:
        case APIError():
            return _reported(fault, secrets, where)
        case TimeoutError():
            return TransportFault(f"{where}: no whole reply in time")
        case aiohttp.ClientResponseError():
            return GarbageReply(f"{where}: the reply is not HTTP: {type(fault).__name__}")
        case aiohttp.ClientConnectorError():
            return TransportFault(f"{where}: {reason_of(fault.os_error)}")
        case aiohttp.ClientError() | OSError():
            return TransportFault(f"{where}: {reason_of(fault)}")
    said = excerpt(_quoted(fault), secrets)
    return GarbageReply(f"{where}: not a reply of the Gemini API: {said!r}")


def _quoted(fault: Exception) -> str:
    """What was not understood: the whole text where it is no JSON, which the library wraps in some of its
    ways, or the words of pydantic, which quote the field."""
    texts = (getattr(error, "doc", "") for error in (fault, fault.__cause__))
    return next((str(text) for text in texts if text), str(fault))


def _reported(fault: APIError, secrets: Sequence[str], where: str) -> ModelError:
    """An HTTP status that is not 200."""
    sent: Mapping[str, str] = getattr(fault.response, "headers", None) or {}
    headers = {name: sent.get(name, "") for name in ("Location", "Retry-After")}
    details = _details(fault.details)
    if (wait := _retry_delay(details)) is not None:
        headers["Retry-After"] = str(wait)
    found = http_fault(fault.code, headers, msgspec.json.encode(fault.details), secrets, where)
    # A key that is wrong or expired is a bad request there, and not an unauthorized one.
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
        return Forbidden(str(found))
    return found


def _details(reply: Any) -> list[dict[str, Any]]:
    error = reply.get("error") if isinstance(reply, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _retry_delay(details: Sequence[Mapping[str, Any]]) -> float | None:
    """Seconds, from a google.rpc.RetryInfo ("retryDelay": "3.5s")."""
    delays = [found for d in details if (found := _SECONDS.fullmatch(str(d.get("retryDelay", ""))))]
    return max((float(found.group(1)) for found in delays), default=None)
