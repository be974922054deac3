"""ImageReward's prompt files as GitHub, the hub, a folder and the twin hold them, whole and damaged."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from servers.hub_server import HubServer
from servers.raw_files import serving

from eval_anything.errors import DataError, UsageError
from eval_anything.task import DataSource
from eval_anything.tasks.image_reward import data
from eval_anything.tasks.image_reward.twin import write_twin

ROWS = [{"id": "005695-0057", "prompt": "a car"}, {"id": "005784-0093", "prompt": "space", "more": 1}]


def laid(root: Path, file: str, rows: Any = ROWS) -> Path:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return root


def parquet(root: Path, rows: list[dict[str, Any]]) -> Path:
    """As the hub has it: a row for each image."""
    root.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), root / data.METADATA)
    return root


def image(prompt_id: str, prompt: str) -> dict[str, Any]:
    path = f"images/test/test_1/{prompt_id}.webp"
    return {"image_path": path, "prompt_id": prompt_id, "prompt": prompt, "rank": 1, "overall_rating": 5}


def read(root: Path, prompts: data.Prompts = "benchmark") -> list[tuple[str, str]]:
    opened = data.read(DataSource(kind="path", path=root), prompts, "")
    return [(prompt.id, prompt.prompt) for prompt in opened.prompts]


EXPECTED = [("005695-0057", "a car"), ("005784-0093", "space")]


@pytest.mark.parametrize("file", ["benchmark/benchmark-prompts.json", "benchmark-prompts.json"])
def test_the_benchmarks_prompts(tmp_path: Path, file: str) -> None:
    assert read(laid(tmp_path, file)) == EXPECTED


@pytest.mark.parametrize("file", ["data/test.json", "test.json"])
def test_the_test_split_as_the_repository_has_it(tmp_path: Path, file: str) -> None:
    assert read(laid(tmp_path, file), "test") == EXPECTED


def test_the_test_split_as_the_hub_has_it_is_one_prompt_for_each_id_in_the_order_of_first_mention(
    tmp_path: Path,
) -> None:
    rows = [
        image("b", "two"),
        image("b", "two"),
        image("a", "one"),
        image("b", "another two"),
        image("c", "two"),
    ]
    root = laid(parquet(tmp_path, rows), "data/test.json")
    assert read(root, "test") == [("b", "two"), ("a", "one"), ("c", "two")], (
        "prompts may occur twice, ids not"
    )


def test_a_whole_copy_of_the_repository_will_do(tmp_path: Path) -> None:
    root = laid(laid(laid(tmp_path, data.BENCHMARK), data.TEST), "data/refl_data.json", "[]")
    (root / "requirements.txt").write_text("torch")
    assert read(root) == read(root, "test") == EXPECTED


def test_other_prompts_are_other_data(tmp_path: Path) -> None:
    def revision(root: Path) -> str:
        return data.read(DataSource(kind="path", path=root), "benchmark", "").revision

    first = revision(laid(tmp_path / "a", data.BENCHMARK))
    assert first == revision(laid(tmp_path / "b", "benchmark-prompts.json"))
    assert first != revision(laid(tmp_path / "c", data.BENCHMARK, ROWS[::-1]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a"}], r"row 0 \(id 'a'\): .*missing required field `prompt`"),
        ([{"prompt": "a"}], r"row 0: .*missing required field `id`"),
        ([{"id": "a", "prompt": 3}], r"row 0 \(id 'a'\): .*\$\.prompt"),
        ([{"id": "", "prompt": "a"}], r"row 0 .*\$\.id"),
        ([*ROWS, ROWS[0]], r"row 2: id '005695-0057' occurs twice"),
        ([], "no rows"),
        ("{", "neither a JSON list nor JSON lines"),
    ],
)
def test_damage_names_file_row_and_field(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"benchmark-prompts\.json.*{message}"):
        read(laid(tmp_path, data.BENCHMARK, rows))


def test_what_is_not_there_or_not_of_this_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"benchmark/benchmark-prompts\.json: not there; expected the repository"
    ):
        read(laid(tmp_path / "a", data.TEST))
    with pytest.raises(DataError, match=r"data/test\.json: not there"):
        read(laid(tmp_path / "b", data.BENCHMARK), "test")
    root = laid(laid(tmp_path / "c", data.BENCHMARK), "benchmark/benchmark_prompts.json")
    with pytest.raises(DataError, match=r"benchmark_prompts\.json: not a file of this data set"):
        read(root)


def test_a_parquet_file_with_other_columns_is_named(tmp_path: Path) -> None:
    root = parquet(tmp_path, [{"prompt_id": "a", "text": "b"}])
    with pytest.raises(
        DataError, match=r"metadata-test\.parquet: no column 'prompt' \(it has: prompt_id, text\)"
    ):
        read(root, "test")


def test_the_twin_has_the_published_sizes_and_the_same_bytes_for_a_seed(tmp_path: Path) -> None:
    write_twin(tmp_path / "whole", None, 0)
    assert len(read(tmp_path / "whole")) == 100
    assert len(read(tmp_path / "whole", "test")) == 466
    contents = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_twin(tmp_path / name, 7, seed)
        contents.append([(tmp_path / name / file).read_bytes() for file in (data.BENCHMARK, data.TEST)])
    assert contents[0] == contents[1] != contents[2]
    assert read(tmp_path / "a") != read(tmp_path / "a", "test")
    row = json.loads(contents[0][1])[0]
    assert set(row) == {"id", "prompt", "generations", "ranking"}
    assert len(row["generations"]) == len(row["ranking"])
    with pytest.raises(UsageError, match="at least 1 item"):
        write_twin(tmp_path / "d", 0, 0)


@pytest.mark.parametrize("prompts", [100, 99])
def test_the_benchmarks_prompts_come_from_github_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prompts: int
) -> None:
    rows = [{"id": str(i), "prompt": f"prompt {i}"} for i in range(prompts)]
    files = {f"{data.REPOSITORY}/{data.COMMIT}/{data.BENCHMARK}": json.dumps(rows).encode()}
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path))
    with serving(files) as server:
        monkeypatch.setenv("EVAL_ANYTHING_GITHUB_RAW", server.url)
        if prompts == 100:
            opened = data.read(DataSource(kind="hub"), "benchmark", "")
            assert len(opened.prompts) == 100
            assert data.COMMIT in opened.notes[0]
        else:
            with pytest.raises(DataError, match="99 prompts, the published data set has 100"):
                data.read(DataSource(kind="hub"), "benchmark", "")
    assert f"{data.REPOSITORY} at {data.COMMIT}; licence: Apache 2.0" in capsys.readouterr().err


OPEN = """
from eval_anything.options import parse
from eval_anything.task import DataSource
from eval_anything.tasks.image_reward.task import ImageReward
task = ImageReward(parse(ImageReward.Options, {"profile": "align-anything"}, "-T"))
dataset = task.open(DataSource(kind="hub"))
print(dataset.size, *dataset.notes)
"""


def test_the_test_split_comes_from_the_hub_without_its_images(tmp_path: Path) -> None:
    parquet(tmp_path, [image(f"{i:06d}-0000", f"prompt {i}") for i in range(466) for _ in range(2)])
    files = {data.METADATA: (tmp_path / data.METADATA).read_bytes(), "images/test/test_1.zip": b"a gigabyte"}

    def use(server: HubServer) -> None:
        own = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        own |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", OPEN],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **own},
        )
        assert done.returncode == 0, done.stderr
        assert (
            done.stdout.strip() == f"466 test split of hub data set {data.DATABASE} at {data.DATABASE_COMMIT}"
        )
        assert {path.rpartition("/")[2] for path in server.asked if "resolve" in path} == {data.METADATA}

    async def serve() -> None:
        async with HubServer(data.DATABASE, data.DATABASE_COMMIT, files) as server:
            await asyncio.to_thread(use, server)

    asyncio.run(serve())
