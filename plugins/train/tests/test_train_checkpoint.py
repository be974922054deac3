"""Folders that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval_anything.errors import StorageError
from eval_anything_train.checkpoint import checkpoints, name_of, prune, sweep, write_file, write_folder


def fill(folder: Path) -> None:
    (folder / "trainer").mkdir()
    (folder / "trainer" / "state.json").write_text("{}")


def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path) -> None:
    seen: list[str] = []

    def watched(folder: Path) -> None:
        seen.append(folder.name)
        assert checkpoints(tmp_path) == []
        fill(folder)

    write_folder(tmp_path / name_of(7), watched)
    assert seen == [".partial-step-00000007"]
    assert checkpoints(tmp_path) == [(7, tmp_path / "step-00000007")]
    assert (tmp_path / "step-00000007" / "trainer" / "state.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007"]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), ValueError("wrong")])
def test_a_fault_while_writing_leaves_nothing(tmp_path: Path, fault: Exception) -> None:
    def broken(folder: Path) -> None:
        fill(folder)
        raise fault

    expected = StorageError if isinstance(fault, OSError) else ValueError
    with pytest.raises(expected, match="No space left" if expected is StorageError else "wrong"):
        write_folder(tmp_path / name_of(7), broken)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    write_folder(tmp_path / "final", fill)
    with pytest.raises(StorageError, match="final"):
        write_folder(tmp_path / "final", lambda folder: None)
    assert (tmp_path / "final" / "trainer" / "state.json").is_file()


def test_the_newest_are_kept_by_number_not_by_name(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000, 20):
        write_folder(tmp_path / name_of(step), fill)
    (tmp_path / "step-mine").mkdir()
    (tmp_path / ".partial-step-00000030").mkdir()
    prune(tmp_path, 2)
    assert [step for step, _ in checkpoints(tmp_path)] == [99_999_999, 100_000_000]
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-100000000",
        "step-99999999",
        "step-mine",
    ]


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new" and [p.name for p in tmp_path.iterdir()] == ["manifest.json"]
    with pytest.raises(StorageError, match=r"nowhere.manifest\.json: cannot be written"):
        write_file(tmp_path / "nowhere" / "manifest.json", b"")
