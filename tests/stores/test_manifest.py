from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval_anything.errors import DataError
from eval_anything.stats.aggregate import Means, Metric, Tree
from eval_anything.stores.manifest import Manifest, TaskPlan, read_manifest, write_manifest

TREE = Tree(
    headline=Metric(name="all", parts=(Metric(name="a", groups=("a",), per="reference", factor=100.0),)),
    high=100,
)


def written(path: Path, aggregation: Means | Tree) -> Manifest:
    plan = TaskPlan(
        name="task",
        version="1",
        profile="original",
        fingerprint="f",
        data="path",
        revision="r",
        planned=3,
        aggregation=aggregation,
        judge="reference",
        protocol_judge=False,
    )
    manifest = Manifest(
        created="2026-01-02T03:04:05Z", model="m", tasks=(plan,), config={"a": [1]}, versions={}
    )
    write_manifest(path, manifest)
    return manifest


@pytest.mark.parametrize("aggregation", [Means(overall="x", groups=("a",), low=1), TREE])
def test_what_is_written_is_read(tmp_path: Path, aggregation: Means | Tree) -> None:
    path = tmp_path / "manifest.json"
    manifest = written(path, aggregation)
    assert read_manifest(path) == manifest
    assert manifest.tasks[0].profile == "original"


def test_a_manifest_from_before_trees_is_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    manifest = written(path, Means(overall="x", groups=("a", "b"), low=1, high=10))
    text = json.loads(path.read_text())
    assert text["tasks"][0]["aggregation"].pop("kind") == "means"
    assert text["tasks"][0].pop("profile") == "original"
    path.write_text(json.dumps(text))
    (plan,) = read_manifest(path).tasks
    assert plan.aggregation == manifest.tasks[0].aggregation and plan.profile == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text["tasks"][0]["aggregation"].update(kind="forest"), "Invalid value 'forest'"),
        (lambda text: text["tasks"][0].update(aggregation=5), "Expected `object`, got `int`"),
        (lambda text: text.update(tasks=None), r"Expected `array`, got `null` - at `\$.tasks`"),
        (lambda text: text.update(tasks=[7]), r"Expected `object`, got `int` - at `\$.tasks\[0\]`"),
        (lambda text: text["tasks"][0].pop("planned"), "missing required field `planned`"),
        (
            lambda text: text["tasks"][0]["aggregation"].update(others=[{"name": "a"}]),
            "metric 'a' is there twice",
        ),
    ],
)
def test_a_damaged_manifest_says_where(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "manifest.json"
    written(path, TREE)
    text = json.loads(path.read_text())
    change(text)
    path.write_text(json.dumps(text))
    with pytest.raises(DataError, match=rf"manifest\.json: not a manifest of this version: .*{said}"):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"[]", b"7", b"{", b'{"model": "\xff"}', b"[" * 9999])
def test_what_is_no_manifest_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a manifest of this version"):
        read_manifest(path)
