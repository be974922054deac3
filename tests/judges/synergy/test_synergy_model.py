"""The whole model against a straight-line forward pass that shares nothing with it but the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_synergy
import torch
import torch.nn.functional as F
from torch import Tensor

from eval_anything.judges.synergy.answer import Answer
from eval_anything.judges.synergy.pairs import PAIRS, Pair
from eval_anything.judges.synergy.scorer import PairScore, Scorer

W = dict[str, Tensor]


def _layer_norm(x: Tensor, w: W, name: str, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt() * w[f"{name}.weight"]
        + w[f"{name}.bias"]
    )


def _attention(x: Tensor, w: W, name: str, heads: int) -> Tensor:
    """x: (length, width), one sequence."""
    width = x.shape[1]
    q, k, v = (x @ w[f"{name}.in_proj_weight"].T + w[f"{name}.in_proj_bias"]).split(width, dim=1)
    if f"{name}.bias_k" in w:
        k = torch.cat([k, w[f"{name}.bias_k"][0]])
        v = torch.cat([v, w[f"{name}.bias_v"][0]])
    mixed = []
    size = width // heads
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        weights = (q[:, part] @ k[:, part].T / size**0.5).softmax(dim=1)
        mixed.append(weights @ v[:, part])
    return torch.cat(mixed, dim=1) @ w[f"{name}.out_proj.weight"].T + w[f"{name}.out_proj.bias"]


def _tower(patches: Tensor, w: W, modality: str, heads: int) -> Tensor:
    """(patches, width) to the class token's features, of unit length."""
    x = torch.cat([w[f"modality_preprocessors.{modality}.cls_token"][0], patches])
    x = x + w[f"modality_preprocessors.{modality}.pos_embedding_helper.pos_embed"][0]
    trunk = f"modality_trunks.{modality}"
    if f"{trunk}.pre_transformer_layer.0.weight" in w:
        x = _layer_norm(x, w, f"{trunk}.pre_transformer_layer.0", 1e-6)
    for i in range(2):
        block = f"{trunk}.blocks.{i}"
        x = x + _attention(_layer_norm(x, w, f"{block}.norm_1", 1e-6), w, f"{block}.attn", heads)
        inner = _layer_norm(x, w, f"{block}.norm_2", 1e-6) @ w[f"{block}.mlp.fc1.weight"].T
        inner = inner + w[f"{block}.mlp.fc1.bias"]
        inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
        x = x + inner @ w[f"{block}.mlp.fc2.weight"].T + w[f"{block}.mlp.fc2.bias"]
    head = f"modality_heads.{modality}"
    features = w[f"{head}.2.weight"] @ _layer_norm(x[0], w, f"{head}.0", 1e-6)
    return features / features.norm()


def _see(pixels: Tensor, w: W) -> Tensor:
    kernel = w["modality_preprocessors.vision.rgbt_stem.proj.1.weight"].sum(dim=2)  # two equal frames
    patches = []
    for row in range(16):
        for column in range(16):
            patch = pixels[:, 14 * row : 14 * row + 14, 14 * column : 14 * column + 14]
            patches.append((kernel * patch).sum(dim=(1, 2, 3)))
    return _tower(torch.stack(patches), w, "vision", tiny_synergy.VISION[2])


def _hear(clips: Tensor, w: W) -> Tensor:
    kernel = w["modality_preprocessors.audio.rgbt_stem.proj.weight"]
    heard = []
    for clip in clips:
        patches = [
            (kernel * clip[:, 10 * row : 10 * row + 16, 10 * column : 10 * column + 16]).sum(dim=(1, 2, 3))
            for row in range(12)
            for column in range(19)
        ]
        normed = _layer_norm(
            torch.stack(patches), w, "modality_preprocessors.audio.rgbt_stem.norm_layer", 1e-5
        )
        scale = w["modality_postprocessors.audio.1.log_logit_scale"].exp().clip(max=100)
        heard.append(scale * _tower(normed, w, "audio", tiny_synergy.AUDIO[2]))
    return torch.stack(heard).mean(dim=0)


def _project(features: Tensor, w: W, modality: str) -> Tensor:
    name = f"model.{modality}_projector"
    inner = F.gelu(F.linear(features, w[f"{name}.linear_1.weight"], w[f"{name}.linear_1.bias"]))
    return F.linear(inner, w[f"{name}.linear_2.weight"], w[f"{name}.linear_2.bias"])


def _reference(settings: dict[str, Any], answer: Answer, pair: Pair) -> PairScore:
    from transformers import LlamaConfig, LlamaForCausalLM

    main, tower = tiny_synergy.tensors(settings)
    language = LlamaForCausalLM(LlamaConfig(**settings["text_config"])).eval()
    inner = {n.removeprefix("model.language_model."): t for n, t in main.items() if ".language_model." in n}
    language.load_state_dict(inner)
    made = tiny_synergy.tokenizer()
    marks = "".join(f"<{medium}>" for medium in pair.media)
    text = answer.text if "text" in pair.modalities else ""
    ids = made(f"USER: {answer.prompt}\nASSISTANT:\n{marks}{text}", return_tensors="pt").input_ids
    embedded = language.get_input_embeddings()(ids)
    for medium in pair.media:
        features = _see(torch.from_numpy(answer.image), tower) if medium == "image" else None
        if features is None:
            features = _hear(torch.from_numpy(answer.audio), tower)
        place = (ids[0] == made.convert_tokens_to_ids(f"<{medium}>")).nonzero().item()
        embedded[0, place] = _project(features, main, medium)
    states = language(inputs_embeds=embedded, output_hidden_states=True).hidden_states[-1]
    scores = states[0] @ main["score_head.weight"][0]
    return PairScore(scores[-1].item(), scores.mean().item())


def _answer(seed: int, words: int) -> Answer:
    random = np.random.default_rng(seed)
    return Answer(
        f"Draw the number {seed}\nand hum.",
        " ".join(["the sound of it"] * words),
        random.normal(size=(3, 224, 224)).astype(np.float32),
        random.normal(size=(3, 1, 128, 204)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_synergy.build(tmp_path_factory.mktemp("tiny") / "checkpoint", "bin")


@pytest.fixture(scope="module")
def scorer(folder: Path) -> Scorer:
    return Scorer.load(folder, "cpu", "float32")


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_equals_a_straight_line_forward_pass(scorer: Scorer, folder: Path, pair: Pair) -> None:
    settings = json.loads((folder / "config.json").read_text())
    for answer in (_answer(1, 1), _answer(2, 9)):
        found = scorer.run([answer])[0][pair.name]
        with torch.inference_mode():
            expected = _reference(settings, answer, pair)
        assert isinstance(found, PairScore)
        assert (found.end, found.mean) == pytest.approx((expected.end, expected.mean), abs=1e-5)


def test_a_batch_scores_as_its_answers_do_one_by_one(scorer: Scorer) -> None:
    answers = [_answer(3, 40), _answer(4, 1), Answer("no media", "words"), _answer(5, 7)]
    together = scorer.run(answers)
    names = [pair.name for pair in PAIRS]
    assert [list(scored) for scored in together] == [names, names, [], names]
    for answer, scored in zip(answers, together, strict=True):
        alone = scorer.run([answer])[0]
        for name, score in scored.items():
            assert isinstance(score, PairScore)
            assert (score.end, score.mean) == pytest.approx((alone[name].end, alone[name].mean), abs=1e-5)


def test_each_part_of_an_answer_counts_and_only_in_its_pairs(scorer: Scorer) -> None:
    base, other = _answer(6, 3), _answer(7, 3)
    scored = scorer.run([base])[0]
    for modality in ("text", "image", "audio"):
        different = "entirely other words" if modality == "text" else getattr(other, modality)
        changed = scorer.run([Answer(**{**vars(base), modality: different})])[0]
        for pair in PAIRS:
            moved = abs(changed[pair.name].end - scored[pair.name].end)
            assert (moved > 1e-3) if modality in pair.modalities else (moved == 0)


def test_an_answer_that_is_too_long_has_no_score_and_says_why(scorer: Scorer) -> None:
    scored = scorer.run([_answer(8, 200)])[0]
    for name in ("text-image", "text-audio"):
        assert "tokens, the judge reads 512" in str(scored[name])
    assert isinstance(scored["image-audio"], PairScore)


def test_modality_tokens_and_media_must_be_as_many(scorer: Scorer) -> None:
    ids = torch.full((1, 4), scorer._model.config.image_token_index)
    with pytest.raises(ValueError, match="4 modality tokens for 1 media"):
        scorer._model(ids, torch.ones_like(ids), torch.zeros(1, tiny_synergy.HIDDEN))


def test_a_score_that_is_no_number_says_so(tmp_path: Path) -> None:
    folder = tiny_synergy.build(
        tmp_path / "c", "bin", lambda main, _: main["model.image_projector.linear_2.bias"].fill_(torch.nan)
    )
    scored = Scorer.load(folder, "cpu", "float32").run([_answer(1, 1)])[0]
    assert scored["text-image"] == scored["image-audio"] == "the reward model's score is no number"
    assert isinstance(scored["text-audio"], PairScore)
