"""Base URLs of OpenAI-compatible servers, and what of them may be shown."""

from __future__ import annotations

import base64
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import msgspec

from eval_anything.errors import UsageError

DEFAULT_URL = "https://api.openai.com/v1"
CHAT_ROUTE = "/chat/completions"
_EXPECTED = "expected the base URL of an OpenAI-compatible server, such as http://localhost:8000/v1"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One server. Only `shown` may appear in messages: the others can hold a password or a key."""

    shown: str
    """Scheme, host, port and path."""
    chat_url: str
    """Where chat completions are posted; without credentials."""
    host: str
    port: int
    basic: str = ""
    """Value of the Authorization header, when the URL carries user and password."""
    secrets: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Host, and the port where it is none of the usual ones."""
        return self.host if self.port in (80, 443) else f"{self.host}:{self.port}"

    def url(self, route: str) -> str:
        """Where another route of the server is, such as "/images/generations"; without credentials."""
        parts = urlsplit(self.chat_url)
        return urlunsplit(parts._replace(path=parts.path.removesuffix(CHAT_ROUTE) + route))


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Base URLs separated by commas. Raises UsageError, which never shows credentials."""
    urls = [url for part in text.split(",") if (url := part.strip())]
    if not urls:
        raise UsageError(f"base_url is empty; {_EXPECTED}")
    return tuple(_parse(url) for url in urls)


def without_credentials(url: str) -> str:
    """`url` without user, password, query and fragment, for messages."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable URL)"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _parse(url: str) -> Address:
    shown = without_credentials(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise UsageError(f"base_url {shown!r}: {_EXPECTED}")
    path = parts.path.rstrip("/").removesuffix(CHAT_ROUTE)
    netloc = parts.netloc.rpartition("@")[2]
    basic, secrets = _credentials(parts)
    return Address(
        shown=urlunsplit((parts.scheme, netloc, path, "", "")),
        chat_url=urlunsplit((parts.scheme, netloc, path + CHAT_ROUTE, parts.query, "")),
        host=host,
        port=port or (443 if parts.scheme == "https" else 80),
        basic=basic,
        secrets=secrets,
    )


def _credentials(parts: SplitResult) -> tuple[str, tuple[str, ...]]:
    if parts.username is None and parts.password is None:
        return "", ()
    password = unquote(parts.password or "")
    token = base64.b64encode(f"{unquote(parts.username or '')}:{password}".encode()).decode()
    return f"Basic {token}", (token, password)
