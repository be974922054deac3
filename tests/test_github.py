from pathlib import Path

import pytest
from servers.raw_files import serving

from eval_anything.errors import DataError
from eval_anything.github import fetch

COMMIT = "0" * 40


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "home"))


def test_a_file_is_fetched_once_and_its_licence_is_said_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving({f"owner/name/{COMMIT}/a/b%20c.json": b"[1]"}) as server:
        monkeypatch.setenv("EVAL_ANYTHING_GITHUB_RAW", f"{server.url}/")
        first = fetch("owner/name", COMMIT, "a/b c.json", licence="MIT")
        said = capsys.readouterr()
        assert first.read_bytes() == b"[1]"
        assert said.err == f"data from GitHub: owner/name at {COMMIT}; licence: MIT\n"
        assert said.out == ""
        assert fetch("owner/name", COMMIT, "a/b c.json", licence="MIT") == first
        assert len(server.asked) == 1, "it is in the cache"
        assert capsys.readouterr().err == ""


def test_what_cannot_be_had_is_named_with_a_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving({}) as server:
        monkeypatch.setenv("EVAL_ANYTHING_GITHUB_RAW", server.url)
        with pytest.raises(
            DataError, match=r"owner/name/0+/a\.json: cannot be downloaded .*404.*--data PATH"
        ):
            fetch("owner/name", COMMIT, "a.json")
    with pytest.raises(DataError, match="cannot be downloaded"):
        fetch("owner/name", COMMIT, "a.json")  # the server is gone
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "nothing half is left"


def test_offline_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with serving({f"owner/name/{COMMIT}/a.json": b"[1]"}) as server:
        monkeypatch.setenv("EVAL_ANYTHING_GITHUB_RAW", server.url)
        with pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
            fetch("owner/name", COMMIT, "a.json")
        assert server.asked == []
