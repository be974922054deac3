"""Our losses and their gradients beside those of TRL, on the same token ids and the same tiny checkpoint.

TRL's trainers are given our ids, as columns that they take for tokenized already or as what their collators
make, because its way from text to ids is another. What is compared is the trainer's own loss on its own copy
of the model. ORPO: TRL's imitation term is over the prompt too, as in the code of the paper's authors; ours
is over the answer, as in the paper. So its odds-ratio term is compared, and the imitation with that of CPO.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import train_kit
from train_kit import pairs

from eval_anything.values import Text
from eval_anything_train.collate import Batch
from eval_anything_train.encode import Encoded
from eval_anything_train.methods import settings as of
from eval_anything_train.methods.base import Method
from eval_anything_train.methods.registry import method_class
from eval_anything_train.settings import Settings
from eval_anything_train.values import Demonstration, Labelled

CLOSE = 1e-5
"""Relative difference of losses."""
CLOSE_GRADIENT = 1e-4
"""Norm of the difference by the norm, over all parameters: float32 sums in another order."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("m") / "llama")


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_qwen2_vl(tmp_path_factory.mktemp("m") / "qwen")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


def moved(model: Any) -> Any:
    """`model` as after some training: the same for everybody who asks."""
    noise = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=noise))
    return model


def ours(name: str, folder: Path, kind: type[Settings], **settings: Any) -> Method[Any, Any]:
    found = method_class(name)
    asked = kind(model=str(folder), data="tiny", out="unused", **settings)
    method = found(train_kit.policy(folder, reference=found.needs_reference), asked)
    moved(method.policy.model)
    return method


def batch_for(method: Method[Any, Any], records: list[Any]) -> Batch:
    batch: Batch = method.collate([method.encode(record) for record in records])
    return batch.to("cpu", torch.float32)


def split(row: Encoded) -> tuple[list[int], list[int]]:
    """The ids of prompt and answer."""
    return row.input_ids[~row.response].tolist(), row.input_ids[row.response].tolist()


def columns(method: Method[Any, Any], records: list[Any]) -> list[dict[str, list[int]]]:
    """Pairs as TRL's tokenized columns."""
    found = []
    for chosen, rejected in (method.encode(record) for record in records):
        prompt, good = split(chosen)
        found.append({"prompt_ids": prompt, "chosen_ids": good, "rejected_ids": split(rejected)[1]})
    return found


def loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    auto = AutoModelForImageTextToText if "qwen" in folder.name else AutoModelForCausalLM
    return auto.from_pretrained(folder, dtype=torch.float32)


def processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder)


def arguments(out: Path, **more: Any) -> dict[str, Any]:
    """For TRL's configurations."""
    fixed = {"use_cpu": True, "report_to": [], "bf16": False, "gradient_checkpointing": False}
    return {"output_dir": str(out), **fixed, "per_device_train_batch_size": 4, "max_length": 3000, **more}


def gradient(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def check_same(method: Method[Any, Any], batch: Batch, theirs: torch.Tensor, model: Any) -> None:
    """Losses, and gradients of all parameters by their names."""
    loss = method.loss(method.trained(), batch)[0]
    assert loss.item() == pytest.approx(theirs.item(), rel=CLOSE)
    loss.backward()
    theirs.backward()
    check_gradients(gradient(method.policy.model), gradient(model))


def check_gradients(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    apart = math.sqrt(sum(float((found[n] - g).square().sum()) for n, g in expected.items()))
    size = math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
    assert size > 0
    assert apart / size < CLOSE_GRADIENT


def test_sft(folder: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    method = ours("sft", folder, Settings)
    records = [Demonstration(id=p.id, messages=p.messages, answer=p.chosen) for p in pairs(3)]
    rows = [split(method.encode(r)) for r in records]
    data = [{"input_ids": p + a, "completion_mask": [0] * len(p) + [1] * len(a)} for p, a in rows]
    trainer = SFTTrainer(
        moved(loaded(folder)),
        args=SFTConfig(**arguments(tmp_path), loss_type="nll", completion_only_loss=True),
        train_dataset=Dataset.from_list(data),
        processing_class=processor(folder),
    )
    inputs = trainer.data_collator([trainer.train_dataset[n] for n in range(3)])
    check_same(method, batch_for(method, records), trainer.compute_loss(trainer.model, inputs), trainer.model)


def test_dpo(folder: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    method = ours("dpo", folder, of.DPOSettings, beta=0.3)
    data = columns(method, pairs(3))
    trainer = DPOTrainer(
        moved(loaded(folder)),
        ref_model=loaded(folder),
        args=DPOConfig(**arguments(tmp_path), beta=0.3),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 3),
        processing_class=processor(folder),
    )
    inputs = trainer.data_collator(data)
    theirs = trainer.compute_loss(trainer.model, inputs)
    check_same(method, batch_for(method, pairs(3)), theirs, trainer.model)


def test_dpo_with_images(vision: Path, files: train_kit.Media, tmp_path: Path) -> None:
    """TRL's loss on our collator's tensors, in which one pair has no image."""
    from datasets import Dataset
    from PIL import Image
    from trl import DPOConfig, DPOTrainer

    method = ours("dpo", vision, of.DPOSettings)
    batch = batch_for(method, pairs(3, files))
    example = {
        "prompt": [{"role": "user", "content": "a"}],
        "chosen": [{"role": "assistant", "content": "b"}],
        "rejected": [{"role": "assistant", "content": "c"}],
        "images": [Image.new("RGB", (56, 56))],
    }
    trainer = DPOTrainer(
        moved(loaded(vision)),
        ref_model=loaded(vision),
        args=DPOConfig(**arguments(tmp_path, max_length=None)),
        train_dataset=Dataset.from_list([example]),
        processing_class=processor(vision),
    )
    inputs = {**batch.inputs, "completion_mask": batch.response.long()}
    check_same(method, batch, trainer.compute_loss(trainer.model, inputs), trainer.model)


def test_kto(folder: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    settings = {"desirable_weight": 1.5, "undesirable_weight": 0.5}
    method = ours("kto", folder, of.KTOSettings, beta=0.2, **settings)
    sides = [(p, p.chosen, True) for p in pairs(2)] + [(p, p.rejected, False) for p in pairs(2)]
    records = [
        Labelled(id=p.id, messages=p.messages, answer=answer, desirable=good) for p, answer, good in sides
    ]
    rows = [split(method.encode(r).whole) for r in records]
    # As ours: each prompt with the answer of the next record.
    others = [*rows[1:], rows[0]]
    data = [
        {"prompt_ids": p, "completion_ids": a, "KL_completion_ids": b, "label": r.desirable}
        for (p, a), (_, b), r in zip(rows, others, records, strict=True)
    ]
    trainer = KTOTrainer(
        moved(loaded(folder)),
        ref_model=loaded(folder),
        args=KTOConfig(**arguments(tmp_path), beta=0.2, **settings),
        train_dataset=Dataset.from_list(
            [{"prompt": "a", "completion": "b", "label": n % 2 == 0} for n in range(4)]
        ),
        processing_class=processor(folder),
    )
    inputs = trainer.data_collator(data)
    batch = batch_for(method, records)
    assert float(method.loss(method.trained(), batch)[1]["kl"]) > 0
    check_same(method, batch, trainer.compute_loss(trainer.model, inputs), trainer.model)


def test_reward(folder: Path, tmp_path: Path) -> None:
    """Without the pull of the scores to zero: TRL's option is another one, the square of their sum."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    method = ours("reward", folder, of.RewardSettings, regularization=0.0)
    head = method.trained().head
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(2)))
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    moved(model.model)
    with torch.no_grad():
        # `moved` draws for the parameters in their order: the head over the vocabulary comes last.
        model.score.weight.copy_(head.weight)
    data = [
        {"chosen_ids": c["prompt_ids"] + c["chosen_ids"], "rejected_ids": c["prompt_ids"] + c["rejected_ids"]}
        for c in columns(method, pairs(3))
    ]
    trainer = RewardTrainer(
        model,
        args=RewardConfig(**arguments(tmp_path)),
        train_dataset=Dataset.from_list(data),
        processing_class=processor(folder),
    )
    inputs = trainer.data_collator([trainer.train_dataset[n] for n in range(3)])
    theirs = trainer.compute_loss(trainer.model, inputs)
    loss = method.loss(method.trained(), batch_for(method, pairs(3)))[0]
    assert loss.item() == pytest.approx(theirs.item(), rel=CLOSE)
    loss.backward()
    theirs.backward()
    expected = gradient(trainer.model)
    assert head.weight.grad is not None
    torch.testing.assert_close(head.weight.grad, expected.pop("score.weight"), rtol=1e-4, atol=1e-6)
    check_gradients(gradient(method.policy.model), expected)


def experimental(folder: Path, build: Callable[[Any, Any], Any]) -> Any:
    from datasets import Dataset

    data = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2)
    return build(moved(loaded(folder)), data)


def side_by_side(method: Method[Any, Any], batch: Batch) -> dict[str, torch.Tensor]:
    """Our batch as TRL's older collator has it: chosen and rejected apart, labels of -100."""
    half = len(batch) // 2
    labels = batch.inputs["input_ids"].masked_fill(~batch.response, -100)
    found = {}
    for name, kept in (("chosen", slice(half)), ("rejected", slice(half, None))):
        found[f"{name}_input_ids"] = batch.inputs["input_ids"][kept]
        found[f"{name}_attention_mask"] = batch.inputs["attention_mask"][kept]
        found[f"{name}_labels"] = labels[kept]
    return found


def cpo_trainer(folder: Path, out: Path, **options: Any) -> Any:
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    return experimental(
        folder,
        lambda model, data: CPOTrainer(
            model,
            args=CPOConfig(**arguments(out), **options),
            train_dataset=data,
            processing_class=processor(folder),
        ),
    )


def test_simpo(folder: Path, tmp_path: Path) -> None:
    method = ours("simpo", folder, of.SimPOSettings, beta=2.0, gamma=1.0)
    batch = batch_for(method, pairs(3))
    trainer = cpo_trainer(folder, tmp_path, loss_type="simpo", cpo_alpha=0.0, beta=2.0, simpo_gamma=1.0)
    theirs, _ = trainer.get_batch_loss_metrics(trainer.model, side_by_side(method, batch))
    check_same(method, batch, theirs, trainer.model)


def test_orpo(folder: Path, tmp_path: Path) -> None:
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    # One pair: a mean over tokens, as TRL's imitation is, is a mean over answers then.
    method = ours("orpo", folder, of.ORPOSettings, odds_weight=0.7)
    pair = pairs(2)[1:]
    batch = batch_for(method, pair)
    inputs = side_by_side(method, batch)
    orpo = experimental(
        folder,
        lambda model, data: ORPOTrainer(
            model,
            args=ORPOConfig(**arguments(tmp_path), beta=0.7),
            train_dataset=data,
            processing_class=processor(folder),
        ),
    )
    chosen, rejected, *_ = orpo.concatenated_forward(orpo.model, inputs)
    odds = -orpo.odds_ratio_loss(chosen, rejected)[0].mean()
    cpo = cpo_trainer(folder, tmp_path, loss_type="simpo", cpo_alpha=1.0, beta=2.0)
    cpo.model = orpo.model
    imitation = cpo.concatenated_forward(orpo.model, inputs)[4]
    check_same(method, batch, imitation + odds, orpo.model)


def test_the_answers_are_the_ones_that_trl_would_be_given(folder: Path) -> None:
    """Guards the comparisons above: prompts, answers and ends are all there, and differ in length."""
    method = ours("simpo", folder, of.SimPOSettings)
    found = columns(method, pairs(3))
    end = method.policy.encoder.end
    assert all(c["chosen_ids"][-1] == c["rejected_ids"][-1] == end for c in found)
    assert len({len(c["prompt_ids"]) for c in found}) == 3
    decode = method.policy.encoder.tokenizer.decode
    assert [(Text(decode(c["chosen_ids"][:-1])),) for c in found] == [p.chosen for p in pairs(3)]
