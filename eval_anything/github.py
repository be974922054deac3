"""Single files of public GitHub repositories, for benchmarks that are published there and on no hub."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path

from eval_anything.errors import DataError
from eval_anything.home import home

RAW = "https://raw.githubusercontent.com"
_LARGEST = 64 * 1024 * 1024
_TIMEOUT_S = 60


def fetch(repository: str, commit: str, path: str, *, licence: str = "") -> Path:
    """`path` of `repository` ("owner/name") at `commit`, kept below the cache folder once it is there.

    Before it is fetched, a line on standard error names the repository and its licence. The address of a
    mirror may stand in EVAL_ANYTHING_GITHUB_RAW. Raises DataError where the file cannot be had; with
    HF_HUB_OFFLINE nobody is asked, as with files of the hub.
    """
    target = home() / "data" / "github" / repository / commit / path
    if target.is_file():
        return target
    terms = f"; licence: {licence}" if licence else ""
    print(f"data from GitHub: {repository} at {commit}{terms}", file=sys.stderr, flush=True)
    base = os.environ.get("EVAL_ANYTHING_GITHUB_RAW", "").rstrip("/") or RAW
    content = _downloaded(f"{base}/{urllib.parse.quote(f'{repository}/{commit}/{path}')}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(target)
    return target


def _downloaded(url: str) -> bytes:
    fault: object = "HF_HUB_OFFLINE is set"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() not in ("1", "ON", "YES", "TRUE"):
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply:
                content: bytes = reply.read(_LARGEST + 1)
            if len(content) <= _LARGEST:
                return content
            fault = f"larger than {_LARGEST} bytes"
        except (urllib.error.URLError, HTTPException, OSError, ValueError) as caught:
            fault = caught
    raise DataError(
        f"{url}: cannot be downloaded ({fault}); without network, give a folder that holds the file"
        " (--data PATH) or --data synthetic"
    )
