"""Checkpoints of one file: from a folder, from a file, and from a hub over a real socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_rewards
from servers.hub_server import HubServer

from eval_anything.errors import UsageError
from eval_anything.judges.checkpoints import OneFile

COMMIT = "fedcba9876" * 4

FETCH = """
import sys
from eval_anything.judges.images import reward
from eval_anything.registry import Plugins
from eval_anything.options import parse
name, model = sys.argv[1:]
cls = Plugins().judges.get(name)
judge = cls(parse(cls.Options, {"model": model, "device": "cpu"}, ""))
judge.check(("image",))
print(judge.identity())
print(judge.checkpoint().fetched())
judge.scorer()
"""


def _one(model: Path | str) -> OneFile:
    return OneFile(
        judge="j", model=str(model), revision=None, stem="weights", config="sizes.json", licence="MIT"
    )


def test_safetensors_are_preferred_and_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("weights.pt", "other.bin", "sizes.json"):
        (tmp_path / name).write_text(name)
    assert _one(tmp_path).fetched() == tmp_path / "weights.pt"
    pickled = _one(tmp_path).identity()
    (tmp_path / "weights.safetensors").write_text("safe")
    assert _one(tmp_path).fetched() == tmp_path / "weights.safetensors"
    assert _one(tmp_path).identity() != pickled
    assert _one(tmp_path / "weights.pt").identity() == pickled
    assert _one(tmp_path / "other.bin").fetched() == tmp_path / "other.bin"
    assert _one(tmp_path / "other.bin").folder() == _one(tmp_path).folder() == tmp_path


def test_a_folder_without_the_weights_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(
        UsageError, match=r"expected weights\.safetensors or weights\.pt \(the folder holds a\.txt\)"
    ):
        _one(tmp_path).check()


def _fetched(
    name: str, files: dict[str, bytes], home: Path
) -> tuple["subprocess.CompletedProcess[str]", set[str]]:
    """What a hub is asked for by judge `name`, and how that ended.

    In a process of its own: the hub's library reads its endpoint when it is imported.
    """

    async def serve() -> tuple["subprocess.CompletedProcess[str]", set[str]]:
        async with HubServer("owner/reward", COMMIT, files, "models") as server:
            own = {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
            own |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", FETCH, name, "owner/reward"],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **own},
            )
            return done, {path.partition(f"{COMMIT}/")[2] for path in server.asked if "resolve" in path}

    return asyncio.run(serve())


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_one_checkpoint_is_fetched_and_its_licence_told(tmp_path: Path, form: str) -> None:
    folder = tiny_rewards.hpsv2(tmp_path / "published", form)
    tiny_rewards.hpsv2(folder, form, version="2.1")
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    done, asked = _fetched("hpsv2", files | {"hpsv2.py": b"raise SystemExit"}, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    identity, place = done.stdout.splitlines()
    assert identity == f"{{'commit': '{COMMIT}'}}"
    assert Path(place).name == f"HPS_v2_compressed.{form}"
    assert asked == {"open_clip_config.json", f"HPS_v2_compressed.{form}"}
    told = f"weights from the hub: owner/reward at {COMMIT}; licence: Apache-2.0"
    assert done.stderr.count(told) == 1


def test_a_hub_that_lacks_the_weights_is_the_user_s_error(tmp_path: Path) -> None:
    done, _ = _fetched("hpsv2", {"README.md": b"#"}, tmp_path / "home")
    assert done.returncode == 1
    assert (
        f"judge hpsv2, option model: owner/reward at {COMMIT} holds neither "
        "HPS_v2_compressed.safetensors nor HPS_v2_compressed.pt"
    ) in done.stderr


def test_the_vocabulary_of_image_reward_is_that_of_its_repository_where_it_has_one(tmp_path: Path) -> None:
    folder = tiny_rewards.image_reward(tmp_path / "published")
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    done, asked = _fetched("image_reward", files, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert asked == {"med_config.json", "vocab.txt", "ImageReward.pt"}
