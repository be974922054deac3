"""Zips are hostile input as tar archives are, and go through the same door."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from eval_anything.errors import DataError, StorageError
from eval_anything.media.archive import unpack
from eval_anything.media.limits import MediaLimits
from eval_anything.media.zipped import write_zip


def _tree(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*"))


def _zip(path: Path, *names: str, **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes.get("mode", 0o644) << 16
            packed.writestr(info, b"" if name.endswith("/") else b"content")
    return path


def test_what_is_written_is_unpacked_again(tmp_path: Path) -> None:
    write_zip(tmp_path / "a" / "x.zip", [("d/one.txt", b"1"), ("two.txt", b"22")])
    into = unpack(tmp_path / "a" / "x.zip", tmp_path / "out")
    assert _tree(into) == [".unpacked", "d", "d/one.txt", "two.txt"]
    assert (into / "d/one.txt").read_bytes() == b"1"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.zip"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_zip(tmp_path / f"{name}.zip", [("x", b"1" * 1000)])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_zip_is_told_by_its_bytes(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "looks.tar.gz", "d/", "d/x.txt")
    assert _tree(unpack(archive, tmp_path / "out")) == [".unpacked", "d", "d/x.txt"]


def test_an_empty_zip_is_an_empty_folder(tmp_path: Path) -> None:
    assert _tree(unpack(_zip(tmp_path / "e.zip"), tmp_path / "out")) == [".unpacked"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../x", "leads out"),
        ("/x", "leads out"),
        ("a/../../x", "leads out"),
        (".unpacked", "reserved"),
    ],
)
def test_members_that_lead_out_are_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as refused:
        unpack(_zip(tmp_path / "a.zip", "good.txt", name), tmp_path / "out")
    assert "a.zip, member" in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="link, device or FIFO"):
        unpack(_zip(tmp_path / "a.zip", "x", mode=stat.S_IFLNK | 0o777), tmp_path / "out")


def test_a_member_is_not_written_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive = _zip(tmp_path / "a.zip", "x", "x")
    with pytest.raises(DataError, match="twice"):
        unpack(archive, tmp_path / "out")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.zip, member 'x/y'"):
        unpack(_zip(tmp_path / "a.zip", "x", "x/y"), tmp_path / "out")


def test_limits_hold(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", "x", "y", "z")
    with pytest.raises(DataError, match="more than 2 members"):
        unpack(archive, tmp_path / "out", MediaLimits(max_archive_members=2))
    with pytest.raises(DataError, match="more than 20 bytes"):
        unpack(archive, tmp_path / "out", MediaLimits(max_archive_bytes=20))


def test_a_member_has_no_more_bytes_than_it_says(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(1 << 20))
    raw = archive.read_bytes()
    size = (1 << 20).to_bytes(4, "little")
    archive.write_bytes(raw.replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match="zeros"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", [40, -30, -10])
def test_a_damaged_zip_is_said(tmp_path: Path, place: int) -> None:
    archive = _zip(tmp_path / "a.zip", "x.txt", "y.txt")
    raw = bytearray(archive.read_bytes())
    raw[place] ^= 0xFF
    archive.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.zip"):
        unpack(archive, tmp_path / "out")


def test_a_cut_zip_is_said(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", "x.txt")
    archive.write_bytes(archive.read_bytes()[:-12])
    with pytest.raises(DataError, match="not a zip"):
        unpack(archive, tmp_path / "out")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        write_zip(tmp_path / "file" / "a.zip", [("x", b"")])
