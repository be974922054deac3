"""HPSv2's prompt files as the hub, a folder and the twin hold them, whole and damaged."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers.hub_server import HubServer

from eval_anything.errors import DataError, UsageError
from eval_anything.task import DataSource
from eval_anything.tasks.hpsv2 import data
from eval_anything.tasks.hpsv2.data import STYLES
from eval_anything.tasks.hpsv2.twin import write_twin


def laid(root: Path, **changes: object) -> Path:
    """Two prompts a style; `changes` replace the content of a style's file (None: there is none)."""
    folder = root / "benchmark"
    folder.mkdir(parents=True)
    for style in STYLES:
        content = changes.get(style.replace("-", "_"), [f"{style} 0", f"{style} 1"])
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / f"{style}.json").write_text(text)
    return root


def read(root: Path) -> data.Opened:
    return data.read(DataSource(kind="path", path=root), "")


def test_prompts_are_named_as_their_images_are(tmp_path: Path) -> None:
    prompts = read(laid(tmp_path)).prompts
    assert [(p.id, p.style, p.prompt) for p in prompts] == [
        (f"{style}/{i:05d}", style, f"{style} {i}") for style in STYLES for i in (0, 1)
    ]


def test_the_folder_benchmark_itself_will_do_and_is_the_same_data(tmp_path: Path) -> None:
    root = laid(tmp_path)
    assert read(root).prompts == read(root / "benchmark").prompts
    assert read(root).revision == read(root / "benchmark").revision


def test_other_prompts_are_other_data(tmp_path: Path) -> None:
    assert (
        read(laid(tmp_path / "a")).revision
        != read(laid(tmp_path / "b", photo=["photo 1", "photo 0"])).revision
    )


def test_the_data_sets_other_files_are_no_fault(tmp_path: Path) -> None:
    root = laid(tmp_path)
    for name in ("benchmark/drawbench.json", "test.json", "README.md", "benchmark/.hidden.json"):
        (root / name).write_text("[]")
    (root / "benchmark" / "benchmark_imgs").mkdir()
    assert len(read(root).prompts) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"concept_art": None},
            r"benchmark/concept-art\.json: not there; expected benchmark/{anime,concept-art,",
        ),
        ({"photo": []}, r"benchmark/photo\.json: no rows"),
        ({"photo": "["}, r"benchmark/photo\.json: neither a JSON list"),
        (
            {"anime": ["a", {"prompt": "b"}]},
            r"benchmark/anime\.json, row 1: expected a prompt \(text\), found dict",
        ),
        ({"anime": ["a", None]}, r"benchmark/anime\.json, row 1: .*NoneType"),
    ],
)
def test_damage_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(laid(tmp_path, **changes))


def test_a_data_file_that_the_layout_does_not_know_is_named(tmp_path: Path) -> None:
    root = laid(tmp_path)
    (root / "benchmark" / "animee.json").write_text("[]")
    with pytest.raises(DataError, match=r"animee\.json: not a file of this data set"):
        read(root)


def test_the_twin_has_the_published_size_the_same_bytes_for_a_seed_and_no_style_without_prompts(
    tmp_path: Path,
) -> None:
    write_twin(tmp_path / "whole", None, 0)
    assert [len(json.loads((tmp_path / f"whole/benchmark/{s}.json").read_text())) for s in STYLES] == [
        800
    ] * 4
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_twin(tmp_path / name, 10, seed)
    contents = [
        [(tmp_path / name / f"benchmark/{style}.json").read_bytes() for style in STYLES] for name in "abc"
    ]
    assert contents[0] == contents[1] != contents[2]
    assert [len(json.loads(content)) for content in contents[0]] == [3, 3, 2, 2]
    with pytest.raises(UsageError, match="at least 4 items, one a style, not 3"):
        write_twin(tmp_path / "d", 3, 0)


OPEN = """
import sys
from eval_anything.errors import DataError
from eval_anything.task import DataSource
from eval_anything.tasks.hpsv2.task import HPSv2
task = HPSv2(HPSv2.Options())
try:
    dataset = task.open(DataSource(kind="hub"))
except DataError as fault:
    sys.exit(f"DataError: {fault}")
print(dataset.size, *dataset.notes)
"""


@pytest.mark.parametrize("prompts", [800, 799])
def test_from_the_hub_four_files_are_fetched_after_the_licence_is_said_and_their_prompts_counted(
    tmp_path: Path, prompts: int
) -> None:
    files = {f"benchmark/{style}.json": json.dumps([style] * prompts).encode() for style in STYLES}
    files["benchmark/drawbench.json"] = b"not asked for"

    def use(server: HubServer) -> None:
        own = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
        own |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", OPEN],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **own},
        )
        said = done.stderr.splitlines()
        assert said[0].startswith(f"data from the hub: {data.REPOSITORY} at {data.REVISION}; licence: ")
        assert len({path for path in server.asked if "resolve" in path}) == 4
        if prompts == 800:
            note = f"hub data set {data.REPOSITORY} at {data.REVISION} (commit {data.REVISION})"
            assert done.stdout.strip() == f"3200 {note}"
        else:
            assert "anime.json: 799 prompts, the published data set has 800" in said[-1]

    async def serve() -> None:
        async with HubServer(data.REPOSITORY, data.REVISION, files) as server:
            await asyncio.to_thread(use, server)

    asyncio.run(serve())
