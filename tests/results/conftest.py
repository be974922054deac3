"""A run directory written row by row, as a run writes it."""

from pathlib import Path

import pytest
from run_files import RunFiles


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    folder = tmp_path / "run"
    folder.mkdir()
    return RunFiles(folder)
