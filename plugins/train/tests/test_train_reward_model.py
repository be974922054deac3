"""Reward models: where their scores are read, their precision, their files."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
import torch
import train_kit
from method_kit import LORA, batch_for, method_of, nudge, records
from train_kit import turn

from eval_anything.errors import UsageError
from eval_anything.values import Text
from eval_anything_train.reward_model import RewardModel, end_scores, load_head
from eval_anything_train.settings import Lora


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("m") / "llama")


@pytest.mark.parametrize("lora", [None, LORA], ids=["weights", "adapters"])
def test_a_reward_model_scores_alike_after_saving(lora: Lora | None, folder: Path, tmp_path: Path) -> None:
    method = method_of("reward", folder, lora=lora)
    nudge(method.trained())
    method.trained().eval()
    batch = batch_for(method, records("reward"))
    with torch.no_grad():
        scores = end_scores(method.trained(), batch)
    method.save(method.trained(), tmp_path / "saved")
    again = method_of("reward", tmp_path / "saved")
    again.trained().eval()
    with torch.no_grad():
        torch.testing.assert_close(end_scores(again.trained(), batch), scores, rtol=1e-4, atol=1e-5)


def test_a_score_is_read_at_the_end_of_turn_whatever_the_padding(folder: Path) -> None:
    method = method_of("reward", folder)
    nudge(method.trained())
    model = method.trained().eval()
    rows = [row for record in records("reward") for row in method.encode(record)]
    with torch.no_grad():
        alone = torch.cat([end_scores(model, train_kit.batch_of(method.policy, [row])) for row in rows])
        for side in ("right", "left"):
            together = end_scores(model, train_kit.batch_of(method.policy, rows, side))  # type: ignore[arg-type]
            torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert len(set(alone.tolist())) == len(rows)


def test_scores_are_float32_though_the_network_is_not(folder: Path) -> None:
    policy = train_kit.policy(folder, reference=False)
    model = RewardModel(policy.model.to(torch.bfloat16))
    assert model.head.weight.dtype == torch.float32
    nudge(model.head, 1.0)
    row = policy.encoder.conversation(turn("yes?"), (Text("no"),))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        scores = model(**train_kit.batch_of(policy, [row]).inputs)
    assert scores.dtype == torch.float32
    assert not scores.to(torch.bfloat16).float().equal(scores)


def test_a_folder_that_is_no_reward_model(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a reward model: no reward_head\.safetensors"):
        load_head(folder)
    (tmp_path / "reward_head.safetensors").write_bytes(b"broken")
    with pytest.raises(UsageError, match=r"reward_head\.safetensors: damaged"):
        load_head(tmp_path)
