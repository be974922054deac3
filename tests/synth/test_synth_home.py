"""Folders of twins: whole or not there, also where writing fails or another process is quicker."""

from pathlib import Path

import pytest

from eval_anything.errors import DataError, StorageError
from eval_anything.synth.home import twin_folder, write_whole


def fill(folder: Path) -> None:
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")


def test_the_folder_appears_whole_and_its_parents_with_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "deep" / "twin", fill, ("a",))
    assert {f.name for f in (tmp_path / "deep" / "twin").iterdir()} == {"a", "b"}
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["twin"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        fill(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="twin: the synthetic twin cannot be written: No space left"):
        write_whole(tmp_path / "twin", broken, ("a",))
    assert list(tmp_path.iterdir()) == []


def test_the_same_twin_is_left_as_it_is(tmp_path: Path) -> None:
    write_whole(tmp_path / "twin", fill, ("a", "b"))
    before = (tmp_path / "twin" / "a").stat().st_ino
    write_whole(tmp_path / "twin", fill, ("a", "b"))
    assert (tmp_path / "twin" / "a").stat().st_ino == before
    assert [f.name for f in tmp_path.iterdir()] == ["twin"]


@pytest.mark.parametrize("name", ("a", "c"))
def test_anything_else_is_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / name).write_text("mine")
    with pytest.raises(DataError, match="exists and does not hold this twin"):
        write_whole(tmp_path / "twin", fill, ("a",))
    assert (tmp_path / "twin" / name).read_text() == "mine"


def test_names_of_many_tasks_of_one_plug_in_are_safe_in_paths() -> None:
    made: list[Path] = []

    class Many:
        name, version = "many:a/b", "1"

        @classmethod
        def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
            made.append(out)
            out.mkdir()

    folder = twin_folder(Many, 3, 1)  # type: ignore[arg-type]
    assert made == [folder] and folder.name == "many-a-b-v1-n3-seed1"
