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
from eval_anything.values import Likelihood, Params, Request

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


def after_media(lab: Lab, *parts: Any, text: str) -> Request:
    return msgspec.structs.replace(request(*parts), continuation=text)


def by_processor(lab: Lab, builder: str, asked: Request, store: Any) -> float:
    """One forward pass over all of prompt, media and text, through the processor."""
    import torch

    from eval_anything.models.hf.prompt import Prompter

    opened = load.open_checkpoint(lab.folder(builder), None)
    model = load.load_weights(opened, "cpu", "float32", None)
    prompter = Prompter(opened, store, 16, 1.0)
    prompt = prompter.prompt(asked)
    own = opened.tokenizer.encode(prompt.text.rstrip(), add_special_tokens=False)
    whole = opened.tokenizer.encode(prompt.text + asked.continuation, add_special_tokens=False)
    prompt.text += asked.continuation
    inputs = prompter.inputs([prompt])
    scored = len(whole) - len(own)
    with torch.inference_mode():
        logprobs = model(**inputs).logits[0].log_softmax(-1)
    ids = inputs["input_ids"][0]
    assert len(ids) > len(whole)  # media take places of their own
    places = range(len(ids) - scored, len(ids))
    return sum(float(logprobs[place - 1, ids[place]]) for place in places)


@pytest.mark.parametrize("builder", ["tiny_qwen2_vl", "tiny_llava", "tiny_qwen2_audio", "tiny_omni"])
def test_a_text_is_scored_after_media(lab: Lab, builder: str) -> None:
    makes: list[Any] = [lab.audio] if "audio" in builder else [lab.image]
    if builder == "tiny_omni":
        makes = [lab.image, lab.audio]
    one, other = [make(1) for make in makes], [make(2) for make in makes]
    requests = [
        after_media(lab, *media, prompt, text=text)
        for media, prompt in ((one, "what is it?"), (other, "what is it?"), (one, "red or blue, or what?"))
        for text in ("red", "blue, not red", "no")
    ]
    together = lab.ask(builder, requests)
    alone = lab.ask(builder, requests, together=False)
    for asked, response, same in zip(requests, together, alone, strict=True):
        expected = by_processor(lab, builder, asked, lab.store)
        assert response.likelihood.logprob == pytest.approx(expected, abs=1e-4)
        assert same.likelihood.logprob == pytest.approx(response.likelihood.logprob, abs=1e-4)
        assert same.likelihood.tokens == response.likelihood.tokens > 0
    assert len({round(r.likelihood.logprob, 4) for r in together}) == len(requests)
    assert together[0].usage.images_in + together[0].usage.audio_s_in > 0


def test_a_video_before_the_text(lab: Lab) -> None:
    requests = [after_media(lab, lab.video(seed), "what?", text="yes") for seed in (1, 2)]
    found = lab.ask("tiny_qwen2_vl", requests)
    assert found[0].likelihood.logprob == pytest.approx(
        by_processor(lab, "tiny_qwen2_vl", requests[0], lab.store), abs=1e-4
    )
    assert found[0].likelihood.logprob != found[1].likelihood.logprob


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


def test_a_checkpoint_without_a_template_takes_plain_prompts_alone(lab: Lab, tmp_path: Path) -> None:
    folder = shutil.copytree(lab.folder("tiny_llama"), tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    model = HFModel(str(folder), CPU)
    plain = msgspec.structs.replace(request("what is"), plain=True)
    found: list[Any] = converse(model, lab.store, [plain, asking("a", "b"), request("what is")], errors=True)
    assert found[0].text and isinstance(found[1].likelihood, Likelihood)
    assert isinstance(found[2], BadRequest) and "-M chat_template=FILE" in str(found[2])
