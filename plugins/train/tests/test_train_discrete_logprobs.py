"""Log-probabilities of words and codes: by hand, as generation saw them, whatever the batch."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import train_kit
from test_train_logprobs import apart, of_rows
from tiny_discrete import CODES, MAKERS, TOKENS, conversations, rows
from torch import Tensor
from train_kit import batch_of, turn

from eval_anything.agents.media.hf_media import HFMediaModel, HFMediaOptions
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.values import Message, Params, Request, Text
from eval_anything_train.discrete.janus import JanusForConditionalGeneration
from eval_anything_train.encode import Encoded, joined
from eval_anything_train.logprobs import gathered, token_logprobs
from eval_anything_train.policy import Policy, save_policy

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module", params=list(MAKERS))
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policy]:
    folder = MAKERS[request.param](tmp_path_factory.mktemp("model") / request.param)
    found = train_kit.policy(folder, reference=False)
    found.model.eval()
    yield found


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    found = train_kit.policy(MAKERS["janus"](tmp_path_factory.mktemp("model") / "janus"), reference=False)
    found.model.eval()
    return found


@pytest.fixture(scope="module")
def encoded(policy: Policy, files: train_kit.Media) -> list[Encoded]:
    return rows(policy, files)


def test_a_sample_in_a_batch_is_what_it_is_alone(policy: Policy, encoded: list[Encoded]) -> None:
    alone = [of_rows(policy, batch_of(policy, [row]))[0] for row in encoded]
    assert [len(a) for a in alone] == [int(row.response.sum()) for row in encoded]
    for side in ("right", "left"):
        assert apart(of_rows(policy, batch_of(policy, encoded, side)), alone) < TOLERANCE
    for order in ([4, 0], [3, 1, 2], [5, 1]):
        chosen = [encoded[n] for n in order]
        assert apart(of_rows(policy, batch_of(policy, chosen)), [alone[n] for n in order]) < TOLERANCE


def test_what_stands_in_the_padding_does_not_matter(policy: Policy, encoded: list[Encoded]) -> None:
    for side in ("right", "left"):
        batch = batch_of(policy, encoded, side)
        padding = batch.inputs["attention_mask"] == 0
        assert padding.any()
        code = encoded[0].input_ids[policy.model.is_code(encoded[0].input_ids)][0]
        for other in (torch.randint(1, 250, padding.shape), code):
            ids = torch.where(padding, other, batch.inputs["input_ids"])
            changed = dataclasses.replace(batch, inputs={**batch.inputs, "input_ids": ids})
            assert apart(of_rows(policy, changed), of_rows(policy, batch)) < 1e-6


def test_no_token_of_a_prompt_or_of_a_mark_that_is_given_is_in_the_mask(
    policy: Policy, encoded: list[Encoded], files: train_kit.Media
) -> None:
    for row, (messages, answer) in zip(encoded, conversations(files), strict=True):
        prompt = policy.encoder.prompt(messages, opening=policy.encoder.opening(answer))
        assert row.input_ids[: len(prompt)].equal(prompt.input_ids)
        assert not row.response[: len(prompt)].any()
        given = row.input_ids[len(prompt) :][~row.response[len(prompt) :]]
        assert set(given.tolist()) <= {policy.encoder.stop}
        codes = policy.model.is_code(row.input_ids)
        images = sum(not isinstance(part, Text) for part in answer)
        assert int((codes & row.response).sum()) == int(codes.sum()) == images * TOKENS


def test_every_probability_is_one_among_its_own_kind(policy: Policy, encoded: list[Encoded]) -> None:
    """Over all tokens of a kind they add up to one, at each place of an answer."""
    row = encoded[2]
    for kind in (True, False):
        codes = policy.model.is_code(row.input_ids)
        place = int((row.response & (codes == kind)).nonzero()[0])
        changed = [_ending_with(row, place, id) for id in _ids(policy, codes=kind)]
        with torch.no_grad():
            logprobs, mask = token_logprobs(policy.model, batch_of(policy, changed))
        assert mask[:, -1].all()
        assert float(logprobs[:, -1].double().exp().sum()) == pytest.approx(1, abs=1e-5)


def _ending_with(row: Encoded, place: int, id: int) -> Encoded:
    """`row` up to `place`, where `id` stands instead."""
    ids = row.input_ids[: place + 1].clone()
    ids[-1] = id
    return dataclasses.replace(row, input_ids=ids, response=row.response[: place + 1])


def _ids(policy: Policy, *, codes: bool) -> list[int]:
    """All tokens of a kind."""
    beside = CODES if isinstance(policy.model, JanusForConditionalGeneration) else 0
    ids = torch.arange(policy.model.config.get_text_config().vocab_size + beside)
    found: list[int] = ids[policy.model.is_code(ids) == codes].tolist()
    return found


def test_janus_by_hand(janus: Policy, files: train_kit.Media) -> None:
    """Embeddings, language model and both heads put together once more, token after token."""
    model = janus.model
    for row in rows(janus, files):
        codes = row.input_ids >= model.config.text_config.vocab_size
        with torch.no_grad():
            embedded = [
                model.prepare_embeddings_for_image_generation(id[None] - model.first_code)
                if code
                else model.get_input_embeddings()(id[None])
                for id, code in zip(row.input_ids, codes, strict=True)
            ]
            whole = torch.cat(embedded)
            if row.media:
                seen = model.model.get_image_features(row.media["pixel_values"]).pooler_output
                whole[row.input_ids == model.config.image_token_id] = seen.flatten(0, 1)
            states = model.model.language_model(inputs_embeds=whole[None]).last_hidden_state[0]
            expected = []
            for n in row.response.nonzero().flatten().tolist():
                head = model.model.generation_head if codes[n] else model.lm_head
                target = row.input_ids[n] - (model.first_code if codes[n] else 0)
                expected.append(torch.log_softmax(head(states[n - 1]).double(), -1)[target].float())
        assert apart(of_rows(janus, batch_of(janus, [row])), [torch.stack(expected)]) < TOLERANCE


def test_chameleon_by_hand(files: train_kit.Media, tmp_path: Path) -> None:
    """From the whole logits, which transformers' own class hides in part."""
    policy = train_kit.policy(MAKERS["chameleon"](tmp_path / "c"), reference=False)
    model = policy.model.eval()
    for row in rows(policy, files):
        batch = batch_of(policy, [row])
        with torch.no_grad():
            states = model.model(**batch.inputs).last_hidden_state[0]
        logits = (states @ model.lm_head.weight.T).double()
        codes = torch.zeros(logits.shape[-1], dtype=torch.bool)
        codes[list(model.model.vocabulary_mapping.bpe2img)] = True
        expected = []
        for n in row.response.nonzero().flatten().tolist():
            kind = codes if codes[row.input_ids[n]] else ~codes
            among = logits[n - 1].masked_fill(~kind, -torch.inf)
            expected.append(torch.log_softmax(among, -1)[row.input_ids[n]].float())
        assert apart(of_rows(policy, batch), [torch.stack(expected).detach()]) < TOLERANCE


def test_generated_text_has_the_probabilities_that_it_had(policy: Policy, files: train_kit.Media) -> None:
    for messages in (turn("What is it?"), turn(files.image[0], "What?")):
        prompt = policy.encoder.prompt(messages)
        with torch.no_grad():
            seen = policy.model.generate(
                **batch_of(policy, [prompt]).inputs,
                do_sample=False,
                max_new_tokens=12,
                output_logits=True,
                return_dict_in_generate=True,
            )
        ids = seen.sequences[0, len(prompt) :]
        expected = gathered(torch.cat(seen.logits), ids)
        found = of_rows(policy, batch_of(policy, [joined(prompt, ids.tolist())]))
        assert len(ids) and apart(found, [expected]) < TOLERANCE


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_a_generated_image_has_the_probabilities_that_it_had(
    janus: Policy, guidance: float, tmp_path: Path
) -> None:
    """The provider that makes images for the harness: its prompt is that of training, and what the network
    said of the tokens (of which guidance makes something else) is what training says."""
    save_policy(janus, janus.model, tmp_path / "janus")
    messages = turn("a red circle, the image")
    inputs, tokens, logits = asyncio.run(_watched(tmp_path / "janus", messages, guidance))
    prompt = janus.encoder.prompt(messages, opening="image")
    assert inputs["input_ids"].tolist() == [prompt.input_ids.tolist()]
    expected = gathered(logits, tokens[0])
    row = joined(prompt, (tokens[0] + janus.model.first_code).tolist())
    assert apart(of_rows(janus, batch_of(janus, [row])), [expected]) < TOLERANCE
    assert len({*tokens[0].tolist()}) > 3


async def _watched(folder: Path, messages: tuple[Message, ...], guidance: float) -> Any:
    """What the provider gives its network, the tokens of the image, and their logits without guidance."""
    provider = HFMediaModel(str(folder), HFMediaOptions(device="cpu", dtype="float32", guidance=guidance))
    await provider.start(ModelContext(store=ArtifactStore(folder / "media")))
    network = provider._model
    generate, seen = network.generate, []
    said: list[Tensor] = []
    # Two rows: with the prompt, and without it, for guidance.
    network.model.generation_head.register_forward_hook(lambda *given: said.append(given[2][0]))

    def watched(**inputs: Any) -> Any:
        tokens = generate(**inputs)
        seen.append((inputs, tokens))
        return tokens

    network.generate = watched
    request = Request(messages=messages, output_modalities=("image",), params=Params(seed=3))
    response = await provider.generate(request)
    await provider.stop()
    assert response.parts[0].artifact.mime == "image/png"
    ((inputs, tokens),) = seen
    return inputs, tokens.clone(), torch.stack(said).clone()


def test_temperature_divides_both_kinds_of_logits(policy: Policy, encoded: list[Encoded]) -> None:
    batch = batch_of(policy, [encoded[4]])
    with torch.no_grad():
        cool, _ = token_logprobs(policy.model, batch, 0.01)
    found = cool[batch.response[:, 1:]].exp()
    assert ((found < 0.05) | (found > 0.95)).float().mean() > 0.7
