"""Who may be asked where: the addresses of a server, and the key that is shown to it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.base import Account
from eval_anything.models.openai.address import DEFAULT_URL, Address, parse_addresses

if TYPE_CHECKING:
    from eval_anything.models.openai.connection import Connection

_OPENAI_HOST = "api.openai.com"
# Shorter ones are placeholders for servers that want any key ("EMPTY", "none"); blanking those out would
# deface answers in which the word occurs.
_SECRET_CHARS = 7


def hidden(secrets: Iterable[str]) -> tuple[str, ...]:
    """Those that are to be blanked out of whatever is written."""
    return tuple(secret for secret in secrets if len(secret) >= _SECRET_CHARS)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Holds a key, so it is never shown or written."""

    addresses: tuple[Address, ...]
    key: str
    key_variable: str
    """The environment variable that the key is from; empty where the server gets none."""
    own: bool
    """Whether all addresses are OpenAI's own."""
    given: bool
    """Whether the user named the server."""

    @property
    def secrets(self) -> tuple[str, ...]:
        held = [self.key, *(secret for address in self.addresses for secret in address.secrets)]
        return hidden(held)

    @property
    def account(self) -> Account:
        """The servers and the key that they are shown."""
        hosts = sorted({address.place for address in self.addresses})
        return Account(server=",".join(hosts), key=self.key or ",".join(self.secrets))

    async def connect(self, spec: str, timeout_s: float) -> Connection:
        """Raises UsageError when the key is missing or a server cannot be reached."""
        # aiohttp takes a while to import, and listing providers must not wait for it.
        from eval_anything.models.openai.connection import Connection

        if not self.key and not self.given:
            raise UsageError(
                f"model {spec}: no key: the environment variable {self.key_variable} "
                "is not set (a server of your own is named with --base-url)"
            )
        connection = Connection(self.addresses, self.key, timeout_s)
        await connection.open()
        return connection


def find_access(base_url: str, api_key_env: str | None) -> Access:
    """The servers of `base_url`, and the key from the environment: OPENAI_API_KEY for OpenAI's own server,
    none for others unless `api_key_env` names a variable. Raises UsageError for a base URL that is none.
    """
    addresses = parse_addresses(base_url)
    own = all(address.host == _OPENAI_HOST for address in addresses)
    # An OpenAI key is not shown to whatever server base_url names.
    variable = api_key_env or ("OPENAI_API_KEY" if own else "")
    return Access(
        addresses=addresses,
        key=os.environ.get(variable, "").strip(),
        key_variable=variable,
        own=own,
        given=base_url != DEFAULT_URL,
    )
