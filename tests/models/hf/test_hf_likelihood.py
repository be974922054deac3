from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny_models
from hf_lab import CPU, Lab, converse, request

from eval_anything.errors import BadRequest
from eval_anything.models.hf import load
from eval_anything.models.hf.likelihood import _windows
from eval_anything.models.hf.provider import HFModel, HFOptions
from eval_anything.values import Likelihood, Message, Params, Request, Text

TEXTS = [
    ("what is the answer?", " yes"),
    ("what is the answer?", " no, not at all, never"),
    ("a", "b"),
    ("red or blue: ", "blue"),
    ("the " * 150, "image"),
    ("", "what"),
]


def asking(prompt: str, text: str, *, plain: bool = True) -> Request:
    return msgspec.structs.replace(request(prompt), plain=plain, continuation=text)


def by_hand(folder: Path, before: list[int], scored: list[int]) -> tuple[float, bool]:
    """One forward pass for each token, over all that is before it."""
    import torch

    opened = load.open_checkpoint(folder, None)
    model = load.load_weights(opened, "cpu", "float32", None)
    total, greedy, known = 0.0, True, list(before)
    for token in scored:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([known])).logits[0, -1].double()
        total += float(logits[token] - logits.logsumexp(0))
        greedy &= int(logits.argmax()) == token
        known.append(token)
    return total, greedy


def test_a_text_is_scored_token_by_token(lab: Lab) -> None:
    folder = lab.folder("tiny_llama")
    encode = load.open_checkpoint(folder, None).tokenizer.encode
    (found,) = lab.ask("tiny_llama", [asking("what is the answer? ", "red or blue")])
    # The prompt's last space is a part of the text's first token.
    before, scored = encode("what is the answer?"), encode(" red or blue")
    logprob, greedy = by_hand(folder, before, scored)
    assert found.likelihood.logprob == pytest.approx(logprob, abs=1e-4)
    assert (found.likelihood.greedy, found.likelihood.tokens) == (greedy, len(scored))
    assert found.parts == () and found.usage.input_tokens == len(before) + len(scored)


@pytest.mark.parametrize("builder", ["tiny_llama", "tiny_qwen2_vl", "tiny_omni"])
@pytest.mark.parametrize("plain", [True, False])
def test_neighbours_and_padding_do_not_change_a_likelihood(lab: Lab, builder: str, plain: bool) -> None:
    requests = [asking(*pair, plain=plain) for pair in TEXTS]
    alone = lab.ask(builder, requests, together=False)
    together = lab.ask(builder, requests)
    small = lab.ask(builder, requests[::-1], HFOptions(dtype="float32", device="cpu", batch_size=3))[::-1]
    for one, others in zip(alone, zip(together, small, strict=True), strict=True):
        for other in others:
            assert other.likelihood.logprob == pytest.approx(one.likelihood.logprob, abs=1e-4)
            assert (other.likelihood.greedy, other.likelihood.tokens) == (
                one.likelihood.greedy,
                one.likelihood.tokens,
            )
    assert len({round(r.likelihood.logprob, 3) for r in alone}) == len(TEXTS)


def test_what_greedy_decoding_gives_is_greedy(lab: Lab) -> None:
    prompts = [f"{word} {other}" for word in tiny_models.WORDS for other in tiny_models.WORDS]
    params = Params(temperature=0.0, max_tokens=2)
    said = [msgspec.structs.replace(request(prompt), plain=True, params=params) for prompt in prompts]
    answers = [response.text for response in lab.ask("tiny_llama", said)]
    encode = load.open_checkpoint(lab.folder("tiny_llama"), None).tokenizer.encode
    # Of the tokens that noise gives, few make text that is read as the same tokens again.
    again = [
        (prompt, answer)
        for prompt, answer in zip(prompts, answers, strict=True)
        if len(encode(prompt + answer)) == len(encode(prompt)) + 2 and len(encode(answer)) == 2
    ]
    assert len(again) > 3
    right = lab.ask("tiny_llama", [asking(*pair) for pair in again])
    wrong = lab.ask("tiny_llama", [asking(prompt, f"{answer}!") for prompt, answer in again])
    assert [r.likelihood.greedy for r in right] == [True] * len(again)
    assert [r.likelihood.greedy for r in wrong] == [False] * len(again)


def test_likelihoods_and_answers_share_a_model(lab: Lab) -> None:
    found = lab.ask("tiny_llama", [asking("a", "b"), request("a"), asking("a", "c"), request("b")])
    assert [response.likelihood is not None for response in found] == [True, False, True, False]
    assert found[1].text and found[3].text


def test_a_text_by_itself_is_scored_in_windows_over_all_its_tokens(lab: Lab, tmp_path: Path) -> None:
    folder = shutil.copytree(lab.folder("tiny_llama"), tmp_path / "short")
    config = msgspec.json.decode((folder / "config.json").read_bytes())
    (folder / "config.json").write_bytes(msgspec.json.encode({**config, "max_position_embeddings": 16}))
    text = "the image and the sound: red, blue, red, no, yes, what? nothing at all"
    whole = Request(messages=(), plain=True, continuation=text)
    (found,) = converse(HFModel(str(folder), CPU), lab.store, [whole])
    tokenizer = load.open_checkpoint(folder, None).tokenizer
    tokens = tokenizer.encode(text)
    assert len(tokens) > 32
    first = tokenizer.eos_token_id
    expected = [by_hand(folder, row.before, row.scored)[0] for row in _windows(first, tokens, 16)]
    assert found.likelihood.logprob == pytest.approx(sum(expected), abs=1e-4)
    assert found.likelihood.tokens == len(tokens)


def test_windows_hold_each_token_once_and_as_much_before_it_as_fits() -> None:
    rows = list(_windows(99, list(range(10)), 4))
    assert [(row.before, row.scored) for row in rows] == [
        ([99], [0, 1, 2, 3]),
        ([3], [4, 5, 6, 7]),
        ([5, 6, 7], [8, 9]),
    ]
    assert [(r.before, r.scored) for r in _windows(99, [1, 2], 4)] == [([99], [1, 2])]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (asking("a", ""), "no tokens of its own"),
        (asking(" \n", "b"), "white space alone"),
        (asking("the " * 5000, "b"), "the model's context is 4096"),
        (Request(messages=(), plain=True, continuation=""), "no tokens of its own"),
    ],
)
def test_what_cannot_be_scored(lab: Lab, asked: Request, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        lab.ask("tiny_llama", [asked])


def test_a_text_after_media_is_not_scored(lab: Lab) -> None:
    turn = Message("user", (lab.image(1), Text("what?")))
    with pytest.raises(BadRequest, match="not after media"):
        lab.ask("tiny_omni", [Request(messages=(turn,), continuation="red")])


def test_a_checkpoint_without_a_template_takes_plain_prompts_alone(lab: Lab, tmp_path: Path) -> None:
    folder = shutil.copytree(lab.folder("tiny_llama"), tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    model = HFModel(str(folder), CPU)
    plain = msgspec.structs.replace(request("what is"), plain=True)
    found: list[Any] = converse(model, lab.store, [plain, asking("a", "b"), request("what is")], errors=True)
    assert found[0].text and isinstance(found[1].likelihood, Likelihood)
    assert isinstance(found[2], BadRequest) and "-M chat_template=FILE" in str(found[2])
