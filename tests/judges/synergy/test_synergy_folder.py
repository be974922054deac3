"""Checkpoints from a hub, over a real socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_synergy
from servers.hub_server import HubServer

from eval_anything.errors import UsageError
from eval_anything.judges.synergy.scorer import Scorer

COMMIT = "0123456789" * 4
NAME = "owner/reward"

FETCH = """
import sys
from eval_anything.judges.synergy import folder
print(folder.identity(sys.argv[1], None))
print(folder.with_weights(sys.argv[1], None))
"""


def _fetched(folder: Path, home: Path, leave_out: str = "-") -> tuple[Path, list[str]]:
    """Where a checkpoint ends up that a hub serves as it lies in `folder`, and which files were asked for.

    In a process of its own: the hub's library reads its endpoint when it is imported.
    """
    files = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    files = {name: content for name, content in files.items() if leave_out not in name}
    files |= {"any_model.py": b"raise SystemExit", "README.md": b"#", "flax_model.msgpack": b"0"}

    async def serve() -> tuple["subprocess.CompletedProcess[str]", list[str]]:
        async with HubServer(NAME, COMMIT, files, "models") as server:
            own = {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
            own |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", FETCH, NAME],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **own},
            )
            return done, [path.partition(f"{COMMIT}/")[2] for path in server.asked if "resolve" in path]

    done, asked = asyncio.run(serve())
    assert done.returncode == 0, done.stderr
    identity, place = done.stdout.splitlines()
    assert identity == f"{{'commit': '{COMMIT}'}}"
    return Path(place), asked


@pytest.mark.parametrize("form", ["bin", "safetensors"])
def test_a_checkpoint_is_fetched_without_its_code(tmp_path: Path, form: str) -> None:
    place, asked = _fetched(tiny_synergy.build(tmp_path / "published", form), tmp_path / "home")
    weights = {"imagebind/imagebind_huge.pth", "pytorch_model.bin"}
    if form == "safetensors":
        weights = {"imagebind/imagebind_huge.safetensors", "model.safetensors"}
    assert set(asked) == {"config.json", "tokenizer.json", "tokenizer_config.json", *weights}
    assert {str(f.relative_to(place)) for f in place.rglob("*") if f.is_file()} == set(asked)
    Scorer.load(place, "cpu", "float32")


def test_a_published_checkpoint_in_both_forms_is_fetched_in_one(tmp_path: Path) -> None:
    folder = tiny_synergy.build(tmp_path / "published", "safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"the same once more, 16 GB of it")
    _, asked = _fetched(folder, tmp_path / "home")
    assert "pytorch_model.bin" not in asked
    assert "model.safetensors" in asked


def test_a_hub_that_lacks_weights_is_the_user_s_error(tmp_path: Path) -> None:
    folder = tiny_synergy.build(tmp_path / "published", "bin")
    place, _ = _fetched(folder, tmp_path / "home", leave_out="imagebind_huge")
    with pytest.raises(UsageError, match="ImageBind's weights are missing"):
        Scorer.load(place, "cpu", "float32")
