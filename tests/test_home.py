from __future__ import annotations

from pathlib import Path

import pytest

from eval_anything.home import home


def test_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "x"))
    assert home() == tmp_path / "x"
    assert not home().exists()


@pytest.mark.parametrize("value", [None, ""])
def test_default_is_below_the_users_cache(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    if value is None:
        monkeypatch.delenv("EVAL_ANYTHING_HOME", raising=False)
    else:
        monkeypatch.setenv("EVAL_ANYTHING_HOME", value)
    assert home() == Path("/somewhere/.cache/eval-anything")
