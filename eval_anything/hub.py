"""Files of a repository on the Hugging Face hub: the raw files alone, and never a script of theirs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from eval_anything.errors import DataError, MissingExtra

Kind = Literal["dataset", "model"]


def download(
    repository: str,
    revision: str,
    files: Sequence[str],
    *,
    kind: Kind = "dataset",
    licence: str = "",
) -> Path:
    """The folder that holds `files` (names or patterns) at `revision`, from the hub's own cache where they
    are there already.

    Its name is the commit that `revision` stands for. Before anything is fetched, a line on standard error
    names the repository and its licence. Raises DataError where the files cannot be had.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise MissingExtra("hub data needs huggingface_hub: pip install 'eval-anything[hub]'") from None
    terms = f"; licence: {licence}" if licence else ""
    print(f"data from the hub: {repository} at {revision}{terms}", file=sys.stderr, flush=True)
    try:
        return Path(
            snapshot_download(repository, repo_type=kind, revision=revision, allow_patterns=list(files))
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as fault:
        first = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        raise DataError(
            f"hub data set {repository} at {revision}: cannot be downloaded ({first}); without network,"
            " give a folder that holds its files (--data PATH) or --data synthetic"
        ) from None
