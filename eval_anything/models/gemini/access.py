"""Where the Gemini API is asked, and the key that is shown to it."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.base import Account
from eval_anything.models.openai.access import hidden
from eval_anything.models.openai.address import without_credentials

DEFAULT_URL = "https://generativelanguage.googleapis.com"
DEFAULT_KEY_VARIABLE = "GEMINI_API_KEY"
_VERSION = re.compile(r"/(v\d\w*)$")


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Holds a key, so it is never shown or written."""

    base_url: str
    """Without the version, and without credentials: it may be shown."""
    version: str
    """Of the API; empty: the one that the library was made for."""
    key: str
    key_variable: str
    """The environment variable that the key is from; empty where the server gets none."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return hidden((self.key,))

    @property
    def account(self) -> Account:
        """The server and the key that it is shown."""
        return Account(server=urlsplit(self.base_url).netloc, key=self.key)


def find_access(base_url: str, api_key_env: str | None, version: str) -> Access:
    """The server of `base_url`, and the key from the environment: GEMINI_API_KEY for Google's own server,
    none for others unless `api_key_env` names a variable.

    A version at the end of the URL is the API's, unless `version` names one. Raises UsageError for a URL that
    is none, or that holds a password or a query, which would be shown in messages.
    """
    url = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.username or parts.password or parts.query or parts.fragment
        _ = parts.port
    except ValueError:
        host, secret = None, None
    if not host or secret or parts.scheme not in ("http", "https"):
        raise UsageError(
            f"base_url {without_credentials(url)!r}: expected the address of a server that speaks the Gemini"
            " API, such as http://localhost:8080; a key belongs into an environment variable (api_key_env)"
        )
    if found := _VERSION.search(url):
        url, version = url.removesuffix(found.group()), version or found.group(1)
    # A key of Google's is not shown to whatever server base_url names.
    variable = api_key_env or (DEFAULT_KEY_VARIABLE if url == DEFAULT_URL else "")
    key = os.environ.get(variable, "").strip()
    return Access(base_url=url, version=version, key=key, key_variable=variable)
