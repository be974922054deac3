"""Runs to make leaderboards of: real run directories with true fingerprints, a few dozen scores each."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from run_files import RunFiles

from eval_anything.stats.aggregate import Means
from eval_anything.stores.identity import fingerprint

AMU = ("perception", "reasoning", "instruction-following", "safety")


class RunLab:
    """`lab.run("a", "org/a", 6.0)` writes the directory of a run whose scores lie around 6."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def run(
        self,
        name: str,
        model: str,
        level: float,
        tasks: tuple[str, ...] = ("amu",),
        n: int = 40,
        upto: int | None = None,
        failed: int = 0,
        **changes: Any,
    ) -> Path:
        """`upto`: how many of `n` were answered; `failed`: how many of them failed; `changes`: of the plan,
        or with `identity` of its settings."""
        folder = self.folder / name
        folder.mkdir()
        files = RunFiles(folder)
        identity = {
            "data": {"revision": "r1"},
            "judge": {"name": "gpt"},
            "seed": 1,
            **changes.pop("identity", {}),
        }
        manifest = changes.pop("manifest", {})
        plans = []
        for task in tasks:
            whole = {"task": {"name": task}, "model": {"spec": model}, **identity}
            whole["data"] = {**whole["data"], "kind": changes.get("data", "hub")}
            mark = fingerprint(whole)
            means = Means(overall=task.upper(), groups=AMU, low=1, high=10)
            plan = {"name": task, "fingerprint": mark, "identity": whole, "planned": n, "data": "hub"}
            plans.append(files.plan(**{**plan, "aggregation": means, **changes}))
            for i in range(n if upto is None else upto):
                if i < failed:
                    files.failed(f"s{i:03}", task=task, fingerprint=mark, group=AMU[i % 4])
                    continue
                hard = random.Random(f"{task}{i}").gauss(0, 1.5)
                value = level + hard + random.Random(f"{name}{task}{i}").gauss(0, 0.5)
                files.scored(
                    f"s{i:03}", min(10.0, max(1.0, value)), task=task, fingerprint=mark, group=AMU[i % 4]
                )
        files.manifest(*plans, **{"model": model, **manifest})
        return files.save()
