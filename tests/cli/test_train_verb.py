"""`eval-anything train` without the distribution that brings it, and what the core says with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval_anything.cli.main import main

ROOT = Path(__file__).parents[2]


def without_packages(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a Python that has nothing installed: only this folder is on its path."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-S", "-m", "eval_anything", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=env,
    )


@pytest.mark.parametrize("arguments", [["train"], ["train", "--help"], ["train", "dpo", "--model", "m"]])
def test_where_the_plugin_is_not_installed_the_core_says_how_to_install_it(arguments: list[str]) -> None:
    done = without_packages(*arguments)
    expected = "eval-anything: train is not installed: pip install eval-anything-train\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_help_lists_the_verb_only_where_it_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    without = without_packages("--help")
    assert without.returncode == 0, without.stderr
    assert "\n  train" not in without.stdout
    assert main(["--help"]) == 0
    listed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["train", "train models on preferences and language feedback"] in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tarin"], "unknown verb 'tarin'; did you mean 'train'?"),
        (["train"], "the following arguments are required: METHOD"),
        (["train", "dpoo"], "invalid choice: 'dpoo'"),
        (["train", "dpoo"], "did you mean 'dpo'?"),
        (
            ["train", "dpo", "--max-lenght", "3"],
            "unknown option '--max-lenght'; did you mean '--max-length'?",
        ),
        (["train", "dpo", "--lora.rnk=3"], "unknown option '--lora.rnk=3'; did you mean '--lora.rank'?"),
        (["train", "sft", "--beta", "1"], "unknown option '--beta'"),  # of another method
        (["train", "dpo", "--max", "3"], "unknown option '--max'"),  # nothing is abbreviated
        (["train", "dpo", "model"], "unknown argument 'model'"),
    ],
)
def test_wrong_usage_is_one_line_with_the_nearest_right_word(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
