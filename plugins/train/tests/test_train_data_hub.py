"""align-anything from a hub over a real socket: which files are fetched, and what is said."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from data_kit import rows, write_parquet
from servers.hub_server import HubServer
from servers.media_files import mp4

from eval_anything.media.archive import write_tar_gz

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOAD = """
import sys
from eval_anything.errors import EvalAnythingError
from eval_anything_train.data.source import load
from eval_anything_train.values import Pair, Prompt
try:
    data = load(sys.argv[1], {"Pair": Pair, "Prompt": Prompt}[sys.argv[2]])
except EvalAnythingError as fault:
    sys.exit(f"{type(fault).__name__}: {fault}")
print(len(data.records), data.name, data.revision, data.licence, data.subtask, *data.notes, sep="|")
"""


def from_hub(url: str, home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's library reads its endpoint when it is imported."""
    own = {"HF_ENDPOINT": url, "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "0"}
    own |= {"EVAL_ANYTHING_HOME": str(home / "home"), "HF_HUB_DISABLE_XET": "1"}
    own |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", LOAD, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **own, **more}
    )


def with_hub(repository: str, files: Mapping[str, bytes], use: Callable[[HubServer], Any]) -> None:
    async def serve() -> None:
        async with HubServer(repository, COMMIT, files) as server:
            await asyncio.to_thread(use, server)

    asyncio.run(serve())


def parquet(made: list[dict[str, Any]], folder: Path) -> bytes:
    return write_parquet(folder / "made.parquet", made).read_bytes()


def fetched(server: HubServer) -> set[str]:
    return {path.partition(f"/resolve/{COMMIT}/")[2] for path in server.asked if "/resolve/" in path}


def repository(tmp_path: Path) -> dict[str, bytes]:
    videos = tmp_path / "videos.tar.gz"
    write_tar_gz(videos, [("videos/a.mp4", mp4())])
    return {
        "README.md": b"not asked for",
        "text-to-text/train_30k.parquet": parquet(rows("t2t"), tmp_path),
        "text-to-text/val_1k.parquet": parquet(rows("t2t")[:1], tmp_path),
        "text-image-to-text/train_40k.parquet": b"not asked for",
        "text-image-to-text/train/train-00000-of-00015.parquet": b"an older copy",
        "text-video-to-text/train_10k.json": json.dumps(rows("tv2t")).encode(),
        "text-video-to-text/videos.tar.gz": videos.read_bytes(),
        "text-to-video/9k_train.json": json.dumps(rows("t2v")).encode(),
        "text-to-video/videos.tar.gz0": b"40 GB",
    }


def test_only_the_files_of_subtask_and_split_are_fetched_after_the_licence_is_said(tmp_path: Path) -> None:
    def use(server: HubServer) -> None:
        done = from_hub(server.url, tmp_path, "align-anything:t2t", "Pair")
        said = "data from the hub: PKU-Alignment/align-anything at main; licence: cc-by-nc-4.0"
        assert done.stderr.splitlines() == [said]
        note = (
            f"hub data set PKU-Alignment/align-anything at main (commit {COMMIT}), text-to-text, split train"
        )
        name = "PKU-Alignment/align-anything:text-to-text"
        assert done.stdout.strip() == f"2|{name}|{COMMIT}|cc-by-nc-4.0|t2t|{note}"
        assert fetched(server) == {"text-to-text/train_30k.parquet"}
        done = from_hub(server.url, tmp_path, f"PKU-Alignment/align-anything@{COMMIT}:t2t,split=val", "Pair")
        assert done.stdout.startswith("1|")
        assert fetched(server) == {"text-to-text/train_30k.parquet", "text-to-text/val_1k.parquet"}
        again = from_hub(server.url, tmp_path, "align-anything:text-to-text", "Pair", HF_HUB_OFFLINE="1")
        assert again.stdout.startswith("2|"), again.stderr

    with_hub("PKU-Alignment/align-anything", repository(tmp_path), use)


def test_videos_are_fetched_when_a_row_names_one_and_never_in_pieces(tmp_path: Path) -> None:
    def use(server: HubServer) -> None:
        done = from_hub(server.url, tmp_path, "align-anything:tv2t", "Pair")
        assert done.stdout.startswith("2|"), done.stderr
        assert fetched(server) == {"text-video-to-text/train_10k.json", "text-video-to-text/videos.tar.gz"}
        done = from_hub(server.url, tmp_path, "align-anything:t2v", "Prompt")
        assert done.stdout.startswith("2|"), done.stderr
        done = from_hub(server.url, tmp_path, "align-anything:t2v", "Pair")
        fault = done.stderr.splitlines()[-1]
        assert fault.startswith(
            "DataError: PKU-Alignment/align-anything: text-to-video: its videos are one archive"
        )
        assert fault.endswith("join and unpack them, and give their folder as media")
        assert "text-to-video/videos.tar.gz0" not in fetched(server)

    with_hub("PKU-Alignment/align-anything", repository(tmp_path), use)


def test_another_repository_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    files = {
        "data/train-00000-of-00001.parquet": parquet(
            [{"question": "q", "chosen": "a", "rejected": "b"}], tmp_path
        ),
        "data/test-00000-of-00001.parquet": b"not asked for",
        "data/script.py": b"never",
    }

    def use(server: HubServer) -> None:
        done = from_hub(server.url, tmp_path, "some/pairs", "Pair")
        assert done.stdout.startswith(f"1|some/pairs|{COMMIT}||"), done.stderr
        assert fetched(server) == {"data/train-00000-of-00001.parquet"}

    with_hub("some/pairs", files, use)


@pytest.mark.parametrize("name", ["/etc/a.mp4", "../../a.mp4", "https://example.com/a.mp4"])
def test_a_downloaded_row_may_not_name_media_outside(name: str, tmp_path: Path) -> None:
    made = [{**rows("tv2t")[0], "video_path": name}]
    files = {"text-video-to-text/train_10k.json": json.dumps(made).encode()}

    def use(server: HubServer) -> None:
        done = from_hub(server.url, tmp_path, "align-anything:tv2t", "Pair")
        said = "no file" if "http" in name else "leads out of the data set"
        assert "train_10k.json, row 0: video_path: " in done.stderr
        assert said in done.stderr

    with_hub("PKU-Alignment/align-anything", files, use)


def test_what_the_hub_does_not_have_is_an_error(tmp_path: Path) -> None:
    files = {"text-to-text/train_30k.parquet": parquet(rows("t2t"), tmp_path)}

    def use(server: HubServer) -> None:
        done = from_hub(server.url, tmp_path, "align-anything:ti2t", "Pair")
        said = "PKU-Alignment/align-anything at main: has none of text-image-to-text/train_*.parquet"
        assert done.stderr.splitlines()[-1] == f"DataError: {said}: another revision?"
        done = from_hub(server.url, tmp_path, f"PKU-Alignment/align-anything@{'f' * 40}:t2t", "Pair")
        assert f"hub data set PKU-Alignment/align-anything at {'f' * 40}: cannot be downloaded" in done.stderr

    with_hub("PKU-Alignment/align-anything", files, use)
