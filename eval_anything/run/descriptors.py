"""Open files: thousands of requests in flight need as many sockets, and many systems allow 1,024 files."""

from __future__ import annotations

_SPARE = 256
"""For the journal, media, libraries and whatever else has files open."""


def allow_sockets(places: int) -> None:
    """Raise the process's soft limit on open files, as far as the hard limit lets it."""
    try:
        import resource
    except ImportError:  # not a Unix: there is no such limit to raise
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = places + _SPARE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
