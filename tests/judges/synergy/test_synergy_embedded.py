"""The judge that comes with the package: whole files, the default on synthetic data, better than chance."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, completion, in_thread

import eval_anything
from eval_anything.cli.main import main
from eval_anything.errors import UsageError
from eval_anything.judges.synergy import embedded
from eval_anything.judges.synergy.embedded import EmbeddedSynergyJudge, EmbeddedSynergyOptions
from eval_anything.results.results import TaskResult

ELSE = "a small white ring in the top left; ten horns"


def scored(out: Path, *, else_shown: bool = False) -> TaskResult:
    """Answers whose words are the instruction's, and whose media are too, or are of something else."""

    def answer(call: Any) -> Any:
        asked = call.body["messages"][-1]["content"]
        text = asked if isinstance(asked, str) else asked[-1]["text"]
        media = ELSE if else_shown else text
        lines = [
            f"[[response]]: {text}",
            f"[[image_instruction]]: {media}",
            f"[[audio_instruction]]: {media}",
        ]
        return completion("\n".join(lines))

    with in_thread(OpenAIServer(answer)) as server:
        return eval_anything.evaluate(
            model="openai/agent",
            model_options={"base_url": server.url},
            tasks=["amg_synergy"],
            data="synthetic:n=12,seed=3",
            agent="text-protocol",
            out=out,
        ).tasks[0]


def test_whole_files_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = EmbeddedSynergyJudge(EmbeddedSynergyOptions())
    judge.check(("text", "image", "audio"))
    assert len(judge.identity()["checkpoint"]) == 64
    folder = tmp_path / "weights"
    shutil.copytree(embedded.WEIGHTS, folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    monkeypatch.setattr(embedded, "WEIGHTS", folder)
    with pytest.raises(UsageError, match=r"judge synergy-embedded: .*model\.safetensors is damaged"):
        EmbeddedSynergyJudge(EmbeddedSynergyOptions()).check(("text", "image", "audio"))


def test_is_the_offline_default_whose_truth_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = scored(tmp_path / "run")
    assert result.judge == "synergy-embedded"
    assert main(["judge-agreement", str(tmp_path / "run"), "--labels", "truth", "--json"]) == 0
    assert "amg_synergy" in capsys.readouterr().out


def test_what_goes_together_is_worth_more(tmp_path: Path) -> None:
    together, apart = (scored(tmp_path / name, else_shown=name == "apart") for name in ("together", "apart"))
    for one, other in zip(together.metrics, apart.metrics, strict=True):
        assert one.name == other.name and one.value is not None and other.value is not None
        assert one.value > other.value, one.name
