"""What all tests share: no test may touch the user's cache, the network, or another test's files."""

import os
import signal
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "plugins"

# A script that runs the suite in the background has it ignore Ctrl-C, and all programs that it starts too:
# tests that interrupt one would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder for each test process, offline hubs, and no keys from the environment."""
    home = tmp_path_factory.getbasetemp() / "home"
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in [n for n in os.environ if n.endswith("_API_KEY")]:
        monkeypatch.delenv(name)


@pytest.fixture
def text_task() -> str:
    """Path of the plug-in file with `text_task` and `always_one`."""
    return str(PLUGINS / "text_task.py")
