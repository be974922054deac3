"""Every error that eval-anything raises on purpose.

EvalAnythingError
|-- UsageError                 what was asked for cannot be done (exit code 2)
|   |-- UnknownName            no such task, model, judge, option, field
|   |-- DuplicateName          two plug-ins with one name
|   |-- DataError              a data set does not have the stated form
|   |-- MissingExtra           an optional dependency is not installed
|   `-- RunConflict            the run directory holds another run
|-- MediaError                 one media file cannot be used (costs one sample)
|-- StorageError               the run's own files cannot be written
|-- BudgetExceeded             too many errors: the run ended early (exit code 3)
|-- LimitReached               --max-cost or --max-total-tokens: likewise
`-- ModelError                 one request failed; `kind` says how, `retryable` whether to try again
    |-- TransportFault         connection refused, reset, timed out
    |-- RateLimited            429, 503: slow down; may carry `retry_after`
    |-- ServerFault            5xx
    |-- GarbageReply           the server answered something that is not the protocol
    |-- BadRequest             4xx: the same request would fail again
    |-- ServerGone             the server that was started for the run has ended
    `-- Forbidden              401, 403: every request would fail; stops the run
"""

from __future__ import annotations

from typing import ClassVar


class EvalAnythingError(Exception):
    """Base of all errors raised on purpose; the message is written for the user."""


class UsageError(EvalAnythingError):
    """The request itself is wrong; nothing expensive has started."""


class UnknownName(UsageError):
    """A name that nothing answers to; the message ends with the nearest right one."""


class DuplicateName(UsageError):
    """Two plug-ins claim one name; the message names both."""


class DataError(UsageError):
    """A data set is not in the layout that its task reads; the message names file and field."""


class MissingExtra(UsageError):
    """An optional dependency is needed and not installed; the message says what to install."""


class RunConflict(UsageError):
    """The run directory belongs to a different configuration, or another process holds it."""


class MediaError(EvalAnythingError):
    """A media file is broken, too large, of the wrong type, or outside its data directory."""


class StorageError(EvalAnythingError):
    """A run's own file could not be written (disk full, permission); finished work is kept."""


class BudgetExceeded(EvalAnythingError):
    """The share of failed samples passed the error budget; finished work is kept."""


class LimitReached(EvalAnythingError):
    """The run may spend no more; finished work is kept."""


class ModelError(EvalAnythingError):
    """A request failed. Subclasses say how; `kind` is what the journal records."""

    kind: ClassVar[str] = "model"
    retryable: ClassVar[bool] = False


class TransportFault(ModelError):
    """The connection failed or timed out before a whole reply was read."""

    kind = "transport"
    retryable = True


class RateLimited(ModelError):
    """The server asked to slow down (429, 503)."""

    kind = "rate_limit"
    retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds, from the Retry-After header, if it was sent


class ServerFault(ModelError):
    """The server failed (5xx other than 503)."""

    kind = "server"
    retryable = True


class GarbageReply(ModelError):
    """A reply under a success status that is not the protocol (not JSON, no choices, bad media)."""

    kind = "garbage"
    retryable = True


class BadRequest(ModelError):
    """The server refused the request as malformed (4xx); sending it again cannot help."""

    kind = "bad_request"


class ServerGone(ModelError):
    """The server that was started for this run has ended: nobody is left to ask. Told with its log's end."""

    kind = "transport"


class Forbidden(ModelError):
    """The key is missing, wrong or expired; every further request would fail as well."""

    kind = "auth"
