"""The store keeps each content once, refuses what leads outside, and notices damage."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

from eval_anything.errors import MediaError, StorageError
from eval_anything.media.convert import write_wav
from eval_anything.media.limits import MediaLimits
from eval_anything.media.store import ArtifactStore
from eval_anything.values import Artifact, Audio, Image, Lineage, Video


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "media")


def _files(root: Path) -> list[Path]:
    return [p for p in root.rglob("*") if not p.is_dir()]


def test_a_file_is_kept_by_its_content(store: ArtifactStore, folder: Path, media: dict[str, bytes]) -> None:
    lineage = Lineage(source="data", name="image.png")
    artifact = store.add_file(Path("image.png"), "image", inside=folder, lineage=lineage)
    assert (artifact.mime, artifact.width, artifact.height) == ("image/png", 60, 40)
    assert artifact.bytes_size == len(media["image/png"])
    assert artifact.lineage == lineage
    sha = artifact.sha256
    assert store.path(artifact) == store.root / sha[:2] / f"{sha}.png"
    assert store.read(artifact) == media["image/png"]
    assert _files(store.root) == [store.path(artifact)]
    assert store.path(artifact).samefile(folder / "image.png")


def test_equal_bytes_are_one_file(store: ArtifactStore, folder: Path, media: dict[str, bytes]) -> None:
    (folder / "copy").write_bytes(media["image/png"])
    (folder / "hard").hardlink_to(folder / "image.png")
    added = [store.add_file(Path(name), "image", inside=folder) for name in ("image.png", "copy", "hard")]
    added.append(store.add_bytes(media["image/png"], "image"))
    added.append(store.add_file(folder / "copy", "image", inside=folder))
    assert len(set(map(repr, added))) == 1
    assert len(_files(store.root)) == 1


def test_parts_by_type(store: ArtifactStore, media: dict[str, bytes]) -> None:
    assert isinstance(store.part(store.add_bytes(media["image/jpeg"], "image")), Image)
    assert isinstance(store.part(store.add_bytes(media["audio/mp4"], "audio")), Audio)
    assert isinstance(store.part(store.add_bytes(media["video/mp4"], "video")), Video)
    with pytest.raises(MediaError, match="text/plain"):
        store.part(Artifact(sha256="0" * 64, mime="text/plain", bytes_size=1))


def test_paths_that_lead_outside_are_refused(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes((folder / "image.png").read_bytes())
    (folder / "file-link").symlink_to(secret)
    (folder / "folder-link").symlink_to(tmp_path)
    (folder / "loop").symlink_to("loop")
    for name in ("../secret.png", str(secret), "file-link", "folder-link/secret.png", "/dev/zero"):
        with pytest.raises(MediaError, match="leads out"):
            store.add_file(Path(name), "image", inside=folder)
    for name in ("loop", "none.png", "a\0b", "."):
        with pytest.raises(MediaError):
            store.add_file(Path(name), "image", inside=folder)
    assert _files(tmp_path / "media") == []


def test_links_that_stay_inside_are_followed(store: ArtifactStore, folder: Path) -> None:
    (folder / "link.png").symlink_to("image.png")
    assert store.add_file(Path("link.png"), "image", inside=folder).mime == "image/png"


def test_a_fifo_does_not_block(store: ArtifactStore, folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(MediaError, match="FIFO"):
        store.add_file(Path("pipe.png"), "image", inside=folder)


def test_a_broken_file_leaves_nothing(store: ArtifactStore, folder: Path, media: dict[str, bytes]) -> None:
    (folder / "cut.png").write_bytes(media["image/png"][:-3])
    with pytest.raises(MediaError, match=r"^cut.png: is truncated"):
        store.add_file(Path("cut.png"), "image", inside=folder)
    with pytest.raises(MediaError, match=r"^reply: is truncated"):
        store.add_bytes(media["image/png"][:-3], "image", name="reply")
    with pytest.raises(MediaError, match="limit of 10"):
        ArtifactStore(store.root, MediaLimits(max_bytes=10)).add_bytes(media["image/png"], "image")
    assert not store.root.exists()


def test_a_changed_file_is_noticed(store: ArtifactStore, folder: Path, media: dict[str, bytes]) -> None:
    first = store.add_file(Path("image.png"), "image", inside=folder)
    replaced = folder / "new"
    replaced.write_bytes(media["image/gif"])
    replaced.replace(folder / "image.png")
    second = store.add_file(Path("image.png"), "image", inside=folder)
    assert (first.mime, second.mime) == ("image/png", "image/gif")
    assert store.read(first) == media["image/png"]


def test_damage_in_the_store_is_found_and_healed(store: ArtifactStore, media: dict[str, bytes]) -> None:
    artifact = store.add_bytes(media["image/png"], "image")
    store.path(artifact).write_bytes(media["image/png"][:-1] + b"x")
    with pytest.raises(MediaError, match="damaged"):
        store.read(artifact)
    store.path(artifact).write_bytes(b"short")
    store.add_bytes(media["image/png"], "image")
    assert store.read(artifact) == media["image/png"]
    store.path(artifact).unlink()
    with pytest.raises(MediaError, match="No such file"):
        store.read(artifact)


def test_a_file_that_left_the_store_is_kept_again(store: ArtifactStore, folder: Path) -> None:
    artifact = store.add_file(Path("image.png"), "image", inside=folder)
    store.path(artifact).unlink()
    store.add_file(Path("image.png"), "image", inside=folder)
    assert store.path(artifact).is_file()


def test_a_known_file_is_not_read_again(store: ArtifactStore, folder: Path) -> None:
    path = folder / "image.png"
    first = store.add_file(path, "image", inside=folder)
    status = path.stat()
    # Same size and time: only somebody who reads the file can see the difference.
    path.unlink()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert store.add_file(path, "image", inside=folder) == first
    with pytest.raises(MediaError):
        ArtifactStore(store.root).add_file(path, "image", inside=folder)


def test_stores_hand_artifacts_to_each_other(
    store: ArtifactStore, tmp_path: Path, media: dict[str, bytes]
) -> None:
    artifact = store.add_bytes(media["image/png"], "image")
    other = ArtifactStore(tmp_path / "other")
    other.adopt(artifact, store)
    assert other.read(artifact) == media["image/png"]
    store.path(artifact).write_bytes(media["image/png"][:-1] + b"x")
    with pytest.raises(MediaError, match="damaged"):
        ArtifactStore(tmp_path / "third").adopt(artifact, store)
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize("sha256", ["../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_forged_artifacts_have_no_path(store: ArtifactStore, sha256: str) -> None:
    with pytest.raises(MediaError, match="not a stored artifact"):
        store.path(Artifact(sha256=sha256, mime="image/png", bytes_size=1))


def test_threads_that_add_at_once(store: ArtifactStore, folder: Path, media: dict[str, bytes]) -> None:
    for i in range(8):
        (folder / f"copy{i}.png").write_bytes(media["image/png"])

    def add(i: int) -> Artifact:
        if i % 3 == 0:
            return store.add_bytes(media["image/png"], "image")
        return store.add_file(Path(f"copy{i % 8}.png"), "image", inside=folder)

    with ThreadPoolExecutor(16) as pool:
        added = list(pool.map(add, range(200)))
    assert len({msgspec.json.encode(a) for a in added}) == 1
    assert _files(store.root) == [store.path(added[0])]
    assert store.read(added[0]) == media["image/png"]


LIMITED = """
import resource, sys
from pathlib import Path
from eval_anything.errors import StorageError
from eval_anything.media.store import ArtifactStore
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    ArtifactStore(Path(sys.argv[1])).add_bytes(Path(sys.argv[2]).read_bytes(), "audio")
except StorageError as fault:
    print(fault)
"""


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(write_wav(np.zeros(20_000), 16_000))
    command = [sys.executable, "-c", LIMITED, tmp_path / "media", tmp_path / "a.wav"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in run.stdout
    assert _files(tmp_path / "media") == []


def test_an_unusable_root_is_a_storage_error(tmp_path: Path, folder: Path, media: dict[str, bytes]) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    store = ArtifactStore(tmp_path / "media")
    with pytest.raises(StorageError):
        store.add_bytes(media["image/png"], "image")
    with pytest.raises(StorageError):
        store.add_file(Path("image.png"), "image", inside=folder)


def test_where_links_fail_the_file_is_copied(folder: Path, media: dict[str, bytes]) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == folder.stat().st_dev:
        pytest.skip("needs a second file system")
    root = shared / f"eval-anything-{os.getpid()}"
    try:
        store = ArtifactStore(root)
        artifact = store.add_file(Path("image.png"), "image", inside=folder)
        assert store.read(artifact) == media["image/png"]
        assert not store.path(artifact).samefile(folder / "image.png")
        assert _files(root) == [store.path(artifact)]
    finally:
        for path in _files(root):
            path.unlink()
        for path in sorted(root.rglob("*"), reverse=True):
            path.rmdir()
        root.rmdir()
