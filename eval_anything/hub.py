"""Files of a data set on the Hugging Face hub: the raw files alone, and never a script of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval_anything.errors import DataError, MissingExtra


def download(repository: str, revision: str, files: Sequence[str]) -> Path:
    """The folder that holds `files` at `revision`, from the hub's own cache where they are there already.

    Its name is the commit that `revision` stands for. Raises DataError where they cannot be had.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise MissingExtra("hub data needs huggingface_hub: pip install 'eval-anything[hub]'") from None
    try:
        return Path(
            snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=list(files))
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as fault:
        first = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        raise DataError(
            f"hub data set {repository} at {revision}: cannot be downloaded ({first}); without network,"
            " give a folder that holds its files (--data PATH) or --data synthetic"
        ) from None
