"""Weights that come with the package: whole, or one message that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval_anything.errors import UsageError
from eval_anything.shipped import SUMS, seal, shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    seal(tmp_path)
    return tmp_path


def test_whole(folder: Path) -> None:
    assert shipped(folder, "model x") == folder
    lines = (folder / SUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["config.json", "model.safetensors"]


def test_damaged(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(UsageError, match=r"model x: .*model.safetensors is damaged .*install"):
        shipped(folder, "model x")


def test_missing(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(UsageError, match=r"config.json is missing"):
        shipped(folder, "model x")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"nonsense\n"])
def test_without_sums(folder: Path, content: bytes | None) -> None:
    (folder / SUMS).unlink()
    if content is not None:
        (folder / SUMS).write_bytes(content)
    with pytest.raises(UsageError, match="missing"):
        shipped(folder, "model x")
