from pathlib import Path

import pytest
from board_lab import RunLab


@pytest.fixture
def lab(tmp_path: Path) -> RunLab:
    return RunLab(tmp_path / "runs")
