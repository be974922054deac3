"""What is masked; and that log-probabilities of a sample do not change with its batch and its padding."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import train_kit
from torch import Tensor
from train_kit import FAMILIES, TAKES, batch_of, prompts, rows

from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.hf.provider import HFModel, HFOptions
from eval_anything.values import Message, Params, Request, Text
from eval_anything_train.collate import Batch
from eval_anything_train.encode import Encoded, joined
from eval_anything_train.logprobs import answer_logits, at_head, gathered, token_logprobs
from eval_anything_train.losses import language
from eval_anything_train.policy import Policy, save_policy

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def policy(family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policy]:
    found = train_kit.policy(
        train_kit.MAKERS[family](tmp_path_factory.mktemp("model") / family), reference=False
    )
    found.model.eval()
    yield found


@pytest.fixture(scope="module")
def encoded(policy: Policy, family: str, files: train_kit.Media) -> list[Encoded]:
    return rows(policy, family, files)


def of_rows(policy: Policy, batch: Batch) -> list[Tensor]:
    """The log-probabilities of each row's answer, token by token."""
    with torch.no_grad():
        logprobs, mask = token_logprobs(policy.model, batch)
    return [row[kept] for row, kept in zip(logprobs, mask, strict=True)]


def apart(found: list[Tensor], expected: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))


def test_the_rows_have_what_they_are_to_have(encoded: list[Encoded], family: str) -> None:
    """Guards the tests below: media of different sizes, several in a row, rows without any."""
    held = [{name: len(value) for name, value in row.media.items()} for row in encoded]
    assert held[1] == {}
    if TAKES[family]:
        assert held[0] and held[2] and held[3] and held[4]
        assert sum(held[3].values()) > sum(held[2].values())
    assert len({len(row) for row in encoded}) >= 4


def test_a_sample_in_a_batch_is_what_it_is_alone(policy: Policy, encoded: list[Encoded]) -> None:
    alone = [of_rows(policy, batch_of(policy, [row]))[0] for row in encoded]
    assert [len(a) for a in alone] == [int(row.response.sum()) for row in encoded]
    for side in ("right", "left"):
        assert apart(of_rows(policy, batch_of(policy, encoded, side)), alone) < TOLERANCE
    # Other neighbours, another order.
    for order in ([4, 0], [3, 1, 2]):
        chosen = [encoded[n] for n in order]
        assert apart(of_rows(policy, batch_of(policy, chosen)), [alone[n] for n in order]) < TOLERANCE


def test_batches_without_media_between_batches_with_them(policy: Policy, encoded: list[Encoded]) -> None:
    """Nothing of one batch (cached positions) is left for the next one."""
    text = batch_of(policy, [encoded[1]])
    first = of_rows(policy, text)
    for row in encoded[2:4]:
        of_rows(policy, batch_of(policy, [row, encoded[1]]))
        assert apart(of_rows(policy, text), first) == 0


def test_what_stands_in_the_padding_does_not_matter(policy: Policy, encoded: list[Encoded]) -> None:
    for side in ("right", "left"):
        batch = batch_of(policy, encoded, side)
        padding = batch.inputs["attention_mask"] == 0
        assert padding.any()
        other = torch.randint(1, 250, padding.shape, generator=torch.Generator().manual_seed(1))
        ids = torch.where(padding, other, batch.inputs["input_ids"])
        changed = dataclasses.replace(batch, inputs={**batch.inputs, "input_ids": ids})
        assert apart(of_rows(policy, changed), of_rows(policy, batch)) < 1e-6


def test_the_mask_is_the_answer_and_its_end(
    policy: Policy, encoded: list[Encoded], family: str, files: train_kit.Media
) -> None:
    for n, (row, messages) in enumerate(zip(encoded, prompts(family, files), strict=True)):
        prompt = policy.encoder.prompt(messages)
        assert not prompt.response.any()
        assert row.input_ids[~row.response].equal(prompt.input_ids)
        # The answer is one piece at the end.
        assert row.response.tolist() == sorted(row.response.tolist())
        answer = row.input_ids[row.response].tolist()
        assert answer[-1] == policy.encoder.end
        assert policy.encoder.tokenizer.decode(answer[:-1]) == train_kit.ANSWERS[n % 4]
        held = {n: v.shape for n, v in row.media.items()}
        assert held == {n: v.shape for n, v in prompt.media.items()}


def test_the_loss_is_the_models_own_with_labels_of_answers_alone(
    policy: Policy, encoded: list[Encoded]
) -> None:
    """The families' own loss ignores labels of -100."""
    batch = batch_of(policy, encoded)
    labels = batch.inputs["input_ids"].masked_fill(~batch.response, -100)
    with torch.no_grad():
        theirs = policy.model(**batch.inputs, labels=labels).loss
        ours = language.sft(*token_logprobs(policy.model, batch))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_no_other_token_is_predicted(policy: Policy, encoded: list[Encoded]) -> None:
    """Whatever the tokens of prompts, media and padding are as labels: none reaches the head."""
    batch = batch_of(policy, encoded)
    with torch.no_grad():
        logits = answer_logits(policy.model, batch)
        whole = policy.model(**batch.inputs).logits[:, :-1][batch.response[:, 1:]]
    assert len(logits) == int(batch.response.sum())
    assert float((logits - whole).abs().max()) < TOLERANCE


def test_hooks_are_gone_after_a_pass_and_after_a_failed_one(policy: Policy, encoded: list[Encoded]) -> None:
    batch = batch_of(policy, encoded[:1])
    of_rows(policy, batch)
    with pytest.raises(RuntimeError):
        at_head(policy.model, batch.inputs, lambda states: states @ states)
    with torch.no_grad():
        assert policy.model(**batch.inputs).logits.shape[:2] == batch.response.shape


def test_temperature_divides_the_logits() -> None:
    logits = torch.tensor([[1.0, 3.0], [0.5, -2.0]], dtype=torch.bfloat16)
    targets = torch.tensor([0, 1])
    found = gathered(logits, targets, temperature=0.5)
    expected = torch.log_softmax(torch.tensor([[2.0, 6.0], [1.0, -4.0]]), -1)[[0, 1], targets]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def taught(policy: Policy, encoded: list[Encoded]) -> None:
    """The answers by heart, so that greedy decoding says them, far from ties."""
    policy.model.train()
    batch = batch_of(policy, encoded)
    optimizer = torch.optim.Adam(policy.model.parameters(), lr=1e-2)
    for _ in range(100):
        loss = language.sft(*token_logprobs(policy.model, batch))
        if loss.item() < 0.02:
            break
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    policy.model.eval()


def generated(folder: Path, asked: list[tuple[Message, ...]]) -> list[str]:
    """What the hf provider gives for checkpoint `folder`, greedily."""

    async def texts() -> list[str]:
        model = HFModel(str(folder), HFOptions(dtype="float32", device="cpu"))
        await model.start(ModelContext(store=ArtifactStore(folder / "media")))
        params = Params(temperature=0.0, max_tokens=60)
        answers = [await model.generate(Request(messages=m, params=params)) for m in asked]
        await model.stop()
        return [answer.text for answer in answers]

    return asyncio.run(texts())


def test_a_generated_answer_encodes_to_what_generation_saw(
    policy: Policy, family: str, files: train_kit.Media, encoded: list[Encoded], tmp_path: Path
) -> None:
    """The provider's text gives the ids that were generated again, with the probabilities that they had."""
    taught(policy, encoded[:2])
    save_policy(policy, policy.model, tmp_path)
    asked = prompts(family, files)[:2]
    for n, (messages, text) in enumerate(zip(asked, generated(tmp_path, asked), strict=True)):
        assert text == train_kit.ANSWERS[n]
        prompt = policy.encoder.prompt(messages)
        with torch.no_grad():
            seen = policy.model.generate(
                **batch_of(policy, [prompt]).inputs,
                do_sample=False,
                max_new_tokens=60,
                output_logits=True,
                return_dict_in_generate=True,
            )
        ids = seen.sequences[0, len(prompt) :].tolist()
        again = policy.encoder.answered(prompt, (Text(text),))
        assert again.input_ids[again.response].tolist() == ids
        expected = gathered(torch.cat(seen.logits), torch.tensor(ids))
        assert apart(of_rows(policy, batch_of(policy, [again])), [expected]) < TOLERANCE
        assert joined(prompt, ids).input_ids.equal(again.input_ids)
