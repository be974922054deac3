"""The CI jobs of the docs do what they say: their own commands, run in a shell, without the services."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from eval_anything.gate.policy import read_policy

CI = Path(__file__).parents[2] / "docs" / "ci"


def github() -> tuple[dict[str, str], list[str]]:
    job = yaml.safe_load((CI / "github-actions.yml").read_text())["jobs"]["gate"]
    return job["env"], [step["run"] for step in job["steps"] if "run" in step]


def gitlab() -> tuple[dict[str, str], list[str]]:
    job = yaml.safe_load((CI / "gitlab-ci.yml").read_text())["gate"]
    return job["variables"], [*job["before_script"], *job["script"], *job["after_script"]]


def shell(command: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    summary = str(folder / "summary.md")
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env={**os.environ, **env, "PATH": path, "GITHUB_STEP_SUMMARY": summary},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("service", [github, gitlab])
def test_the_jobs_pass_and_fail_as_they_should(service: object, tmp_path: Path) -> None:
    assert callable(service)
    env, commands = service()
    assert commands[0] == "pip install eval-anything", "here it is installed already"
    (tmp_path / "gate.toml").write_bytes((CI / "gate.toml").read_bytes())
    score, gate, report = commands[1:]
    made = shell(score.replace("runs/candidate", "runs/base"), tmp_path, env)
    assert made.returncode == 0, made.stderr
    saved = "eval-anything gate --candidate runs/base --save-baseline baseline.json"
    assert shell(saved, tmp_path, env).returncode == 0
    assert shell(score, tmp_path, env).returncode == 0
    passed = shell(gate, tmp_path, env)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    worse = {**env, "MODEL": "fake/constant"}
    assert shell(score.replace("runs/candidate", "runs/worse"), tmp_path, worse).returncode == 0
    failed = shell(gate.replace("runs/candidate", "runs/worse"), tmp_path, worse)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert (tmp_path / "gate.xml").read_text().count("<failure") >= 1
    assert shell(report, tmp_path, env).returncode == 0
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_example_policy_is_one() -> None:
    policy = read_policy(CI / "gate.toml")
    assert policy.rules("amu").metric == "perception"
