"""A protocol's profile goes from a task's options into the manifest and over its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

import eval_anything
from eval_anything.stores.manifest import read_manifest


@pytest.mark.parametrize(
    ("task", "options", "profile", "title"),
    [
        ("mia_bench", {"profile": "original"}, "original", "mia_bench (version 1, profile original)"),
        ("mia_bench", {}, "corrected", "mia_bench (version 1, profile corrected)"),
        ("amu", {}, "", "amu (version 1)"),
    ],
)
def test_the_profile_is_in_the_manifest_and_the_title(
    tmp_path: Path, task: str, options: dict[str, str], profile: str, title: str
) -> None:
    results = eval_anything.evaluate(
        model="fake/echo",
        tasks=[task],
        task_options=options,
        data="synthetic",
        judge="reference",
        limit=2,
        out=str(tmp_path / "run"),
    )
    (plan,) = read_manifest(tmp_path / "run" / "manifest.json").tasks
    assert (plan.profile, results.tasks[0].profile) == (profile, profile)
    assert f"\n{title}\n" in str(results)
