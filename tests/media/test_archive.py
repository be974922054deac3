"""Archives are hostile input: whatever they hold, nothing is written outside and nothing stays half-done."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_anything.errors import DataError
from eval_anything.media.archive import unpack, unpack_cached, write_tar_gz
from eval_anything.media.limits import MediaLimits


def _tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
            else:
                tar.addfile(member)
    return path


def _special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def _tree(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*"))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_unpacks_files_folders_and_inner_links(tmp_path: Path, mode: str) -> None:
    archive = _tar(
        tmp_path / "a.tar",
        _special("d", tarfile.DIRTYPE),
        ("d/x.txt", b"x"),
        _special("d/soft", tarfile.SYMTYPE, "x.txt"),
        _special("hard", tarfile.LNKTYPE, "d/x.txt"),
        mode=mode,
    )
    into = unpack(archive, tmp_path / "out" / "data")
    assert _tree(into) == [".unpacked", "d", "d/soft", "d/x.txt", "hard"]
    assert (into / "d/soft").read_bytes() == (into / "hard").read_bytes() == b"x"
    assert os.listdir(tmp_path / "out") == ["data"]


def test_an_unpacked_folder_is_returned_without_the_archive(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar.gz", ("x", b"1"))
    into = unpack(archive, tmp_path / "data")
    archive.unlink()
    assert unpack(archive, tmp_path / "data") == into


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar.gz", ("x", b"1"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").write_text("mine")
    with pytest.raises(DataError, match="move it away"):
        unpack(archive, tmp_path / "data")
    assert _tree(tmp_path / "data") == ["mine"]


HOSTILE = {
    "parent": ([("../evil", b"x")], "leads out"),
    "inner parent": ([("a/../../evil", b"x")], "leads out"),
    "absolute": ([("/tmp/evil-anything", b"x")], "leads out"),
    "link out": ([_special("l", tarfile.SYMTYPE, "../../evil")], "member 'l'"),
    "absolute link": ([_special("l", tarfile.SYMTYPE, "/etc/passwd")], "member 'l'"),
    "write through link": ([_special("l", tarfile.SYMTYPE, "."), ("l/x", b"x")], "through a link"),
    "overwrite link": ([_special("l", tarfile.SYMTYPE, "y"), ("l", b"x")], "through a link"),
    "chain of links": (
        [
            _special("a/b", tarfile.DIRTYPE),
            _special("m", tarfile.SYMTYPE, "a/b/s/../evil"),
            _special("a/b/s", tarfile.SYMTYPE, "../.."),
        ],
        "leads out|outside",
    ),
    "hard link out": ([_special("h", tarfile.LNKTYPE, "../outside")], "leads out"),
    "hard link to nothing": ([_special("h", tarfile.LNKTYPE, "x")], "no earlier file"),
    "fifo": ([_special("f", tarfile.FIFOTYPE)], "device or FIFO"),
    "device": ([_special("n", tarfile.CHRTYPE)], "device or FIFO"),
    "our marker": ([(".unpacked", b"")], "reserved"),
    "file as folder": ([("x", b"1"), ("x/y", b"2")], "member 'x/y'"),
    "long name": ([("n" * 300, b"1")], "long"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_members_are_refused_and_nothing_stays(tmp_path: Path, case: str) -> None:
    members, reason = HOSTILE[case]
    (tmp_path / "outside").write_text("kept")
    archive = _tar(tmp_path / "bad.tar.gz", ("good.txt", b"good"), *members)
    before = _tree(tmp_path)
    with pytest.raises(DataError, match=reason) as caught:
        unpack(archive, tmp_path / "in" / "data")
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _tree(tmp_path) == sorted([*before, "in"])
    assert (tmp_path / "outside").read_text() == "kept"
    assert not Path("/tmp/evil-anything").exists()


def test_a_gzip_bomb_is_stopped(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "bomb.tar.gz", ("zeros", bytes(8 << 20)))
    assert archive.stat().st_size < 20_000
    with pytest.raises(DataError, match=r"member 'zeros'.*more than 1048576 bytes"):
        unpack(archive, tmp_path / "data", MediaLimits(max_archive_bytes=1 << 20))
    assert _tree(tmp_path) == ["bomb.tar.gz"]


def test_a_bomb_in_a_header_is_stopped(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "z" * (4 << 20)}
    archive = _tar(tmp_path / "bomb.tar.gz", info)
    with pytest.raises(DataError, match="more than 1 MiB"):
        unpack(archive, tmp_path / "data")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "many.tar.gz", *[(str(i), b"") for i in range(11)])
    with pytest.raises(DataError, match=r"member '10'.*more than 10 members"):
        unpack(archive, tmp_path / "data", MediaLimits(max_archive_members=10))
    assert unpack(archive, tmp_path / "data", MediaLimits(max_archive_members=11)).is_dir()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_no_truncation_passes(tmp_path: Path, mode: str) -> None:
    whole = _tar(tmp_path / "a.tar", *[(str(i), os.urandom(900)) for i in range(5)], mode=mode).read_bytes()
    # Uncompressed archives end in zeros: cut inside of those, nothing is lost.
    end = len(whole.rstrip(b"\0")) if mode == "w" else len(whole)
    for index, cut in enumerate(range(0, end, max(1, end // 60))):
        short = tmp_path / f"short{index}.tar"
        short.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=f"short{index}"):
            unpack(short, tmp_path / f"data{index}")
        assert not (tmp_path / f"data{index}").exists()


def test_a_damaged_header_in_the_middle_is_no_end(tmp_path: Path) -> None:
    data = bytearray(_tar(tmp_path / "a.tar", ("a", b"1"), ("b", b"2"), mode="w").read_bytes())
    data[1024] ^= 0xFF
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(DataError, match="header here is broken"):
        unpack(tmp_path / "a.tar", tmp_path / "data")


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=3000), at=st.integers(0, 2500))
def test_random_bytes_never_surprise(tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int) -> None:
    root = tmp_path_factory.mktemp("fuzz")
    whole = _tar(root / "a.tar", ("a/b", b"1" * 700), ("c", b"2"), mode="w").read_bytes()
    (root / "a.tar").write_bytes(whole[:at] + data + whole[at + len(data) :])
    try:
        unpack(root / "a.tar", root / "in" / "data")
    except DataError:
        assert _tree(root / "in") == []


UNPACK = """
import sys, time
from pathlib import Path
from eval_anything.media.archive import unpack
archive, into, ready, go = map(Path, sys.argv[1:])
ready.touch()
while not go.exists():
    time.sleep(0.001)
assert unpack(archive, into) == into
"""


def test_processes_that_unpack_at_once_all_succeed(tmp_path: Path) -> None:
    archive, into, go = tmp_path / "a.tar.gz", tmp_path / "out" / "data", tmp_path / "go"
    write_tar_gz(archive, [(f"d/{i}.txt", b"x" * i) for i in range(300)])
    ready = [tmp_path / f"ready{i}" for i in range(3)]
    workers = [subprocess.Popen([sys.executable, "-c", UNPACK, archive, into, r, go]) for r in ready]
    while not all(r.exists() for r in ready):
        time.sleep(0.01)
    go.touch()
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert os.listdir(tmp_path / "out") == ["data"]
    assert len(list((into / "d").iterdir())) == 300


def test_archives_of_equal_content_are_equal(tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(b"from a file")
    for name, changed in (("1.tar.gz", 1), ("2.tar.gz", 2_000_000_000)):
        os.utime(source, (changed, changed))
        write_tar_gz(tmp_path / name, [("b/x.txt", b"bytes"), ("a.bin", source), ("\u00e9.txt", b"")])
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()
    into = unpack(tmp_path / "1.tar.gz", tmp_path / "data")
    assert (into / "a.bin").read_bytes() == b"from a file"
    assert (into / "b/x.txt").read_bytes() == b"bytes"
    assert (into / "\u00e9.txt").read_bytes() == b""


def test_the_cache_knows_an_archive_by_its_path_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "home"))
    archive = _tar(tmp_path / "a.tar", ("x", b"1"))
    first = unpack_cached(archive, "bench")
    assert first.parent == tmp_path / "home" / "data" / "bench"
    assert unpack_cached(archive, "bench") == first
    os.utime(archive, ns=(1, 1))
    assert unpack_cached(archive, "bench") != first
    with pytest.raises(DataError, match="No such file"):
        unpack_cached(tmp_path / "b.tar", "bench")
