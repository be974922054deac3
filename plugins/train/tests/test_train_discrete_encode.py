"""Answers with images as tokens: which ones, which of them the model says, limits, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_discrete
import torch
import train_kit
from tiny_discrete import CODES, MAKERS, TOKENS, conversations
from train_kit import turn

from eval_anything.errors import DataError, UsageError
from eval_anything.media.convert import load_image
from eval_anything.models.hf import load
from eval_anything.values import File, Text
from eval_anything_train.discrete.encoder import ImageEncoder
from eval_anything_train.encode import Encoded, TooLongError
from eval_anything_train.policy import Policy
from eval_anything_train.values import Answer

RED, BLUE = Text("A red circle"), Text("and blue")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Policy]:
    root = tmp_path_factory.mktemp("models")
    return {name: train_kit.policy(make(root / name), reference=False) for name, make in MAKERS.items()}


@pytest.fixture
def janus(policies: dict[str, Policy]) -> Policy:
    return policies["janus"]


@pytest.fixture
def chameleon(policies: dict[str, Policy]) -> Policy:
    return policies["chameleon"]


def codes_of(policy: Policy, file: File) -> list[int]:
    assert isinstance(policy.encoder, ImageEncoder)
    return policy.encoder.coder.tokens(Path(file.path))


def answer_of(row: Encoded, prompt: Encoded) -> tuple[list[int], list[bool]]:
    return row.input_ids[len(prompt) :].tolist(), row.response[len(prompt) :].tolist()


def words(policy: Policy, text: str) -> list[int]:
    ids: list[int] = policy.encoder.tokenizer.encode(text, add_special_tokens=False)
    return ids


def test_an_image_alone_of_janus_is_its_codes_after_a_prompt_that_asks_for_it(
    janus: Policy, files: train_kit.Media
) -> None:
    row = janus.encoder.conversation(turn("Draw red"), (files.image[0],))
    text = "<|user|>: Draw red\n\n<|assistant|>:<boi>"  # without the system prompt of answers in text
    codes = codes_of(janus, files.image[0])
    assert len(codes) == TOKENS and len(set(codes)) > 4
    assert min(codes) >= janus.model.config.text_config.vocab_size
    assert row.input_ids.tolist() == [*words(janus, text), *codes]
    assert row.response.tolist() == [False] * len(words(janus, text)) + [True] * TOKENS


def test_words_of_janus_come_after_the_system_prompt(janus: Policy) -> None:
    row = janus.encoder.conversation(turn("What?"), (RED,))
    text = janus.encoder.tokenizer.decode(row.input_ids)
    assert text.startswith("You are a helpful language and vision assistant.")
    assert text.endswith("<|user|>: What?\n\n<|assistant|>: A red circle<|im_end|>")


def test_words_and_images_of_janus(janus: Policy, files: train_kit.Media) -> None:
    one, two = files.image[:2]
    start, stop, end = (words(janus, token)[0] for token in ("<boi>", "<eoi>", "<|im_end|>"))
    prompt = janus.encoder.prompt(turn("How?"))
    found = answer_of(janus.encoder.conversation(turn("How?"), (RED, one, BLUE, two)), prompt)
    pieces = [
        (words(janus, " A red circle"), True),
        ([start, *codes_of(janus, one)], True),
        ([stop], False),
        (words(janus, "and blue"), True),
        ([start, *codes_of(janus, two)], True),
        ([stop], False),
        ([end], True),
    ]
    assert found[0] == [id for ids, _ in pieces for id in ids]
    assert found[1] == [said for ids, said in pieces for _ in ids]
    # One that begins with an image is asked for it, and goes on behind the second mark.
    asked = janus.encoder.prompt(turn("How?"), opening="image")
    assert asked.input_ids[-1] == start
    found = answer_of(janus.encoder.conversation(turn("How?"), (one, BLUE)), asked)
    assert found[0] == [*codes_of(janus, one), stop, *words(janus, "and blue"), end]
    assert found[1] == [True] * TOKENS + [False] + [True] * (len(words(janus, "and blue")) + 1)


def test_chameleon_says_when_an_image_begins(chameleon: Policy, files: train_kit.Media) -> None:
    (one,) = files.image[:1]
    start, stop, end = (words(chameleon, token)[0] for token in ("<boi>", "<eoi>", "<|im_end|>"))
    prompt = chameleon.encoder.prompt(turn("How?"))
    assert prompt.input_ids.tolist() == words(chameleon, "How?<sep>")
    ids, said = answer_of(chameleon.encoder.conversation(turn("How?"), (one,)), prompt)
    assert ids == [start, *codes_of(chameleon, one), stop, end]
    assert said == [True] * (1 + TOKENS) + [False, True]


def test_codes_of_chameleon_are_those_of_transformers(chameleon: Policy, files: train_kit.Media) -> None:
    for file in files.image:
        image = load_image(Path(file.path))
        pixels = chameleon.opened.processor.image_processor(images=[image], return_tensors="pt")
        expected = chameleon.model.get_image_tokens(pixels["pixel_values"])
        assert codes_of(chameleon, file) == expected[0].tolist()
    names = chameleon.encoder.tokenizer.convert_ids_to_tokens(codes_of(chameleon, files.image[0]))
    assert all(name.startswith("IMGIMG") for name in names)


def test_codes_of_janus_are_nearest_by_angle(janus: Policy, files: train_kit.Media) -> None:
    """Written out with NumPy: both vectors have length 1, as in the VQ model's training."""
    vq = janus.model.model.vqmodel
    image = load_image(Path(files.image[0].path))
    pixels = janus.opened.processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        states = vq.quant_conv(vq.encoder(pixels))[0].permute(1, 2, 0).reshape(TOKENS, -1).numpy()
    book = vq.quantize.embedding.weight.detach().numpy()
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (states, book)]
    distances = ((unit[0][:, None] - unit[1][None]) ** 2).sum(-1)
    first = janus.model.first_code
    assert codes_of(janus, files.image[0]) == (first + distances.argmin(1)).tolist()


def test_answers_as_words_of_different_parts_and_blank_parts(janus: Policy, files: train_kit.Media) -> None:
    encoder, image = janus.encoder, files.image[0]
    whole = encoder.conversation(turn("How?"), (Text("A red circle\nand blue"), image))
    parts = encoder.conversation(turn("How?"), (Text(" "), RED, BLUE, image, Text("\n")))
    assert parts.input_ids.equal(whole.input_ids)
    # A blank before the image does not make it an answer that begins with words.
    alone = encoder.conversation(turn("How?"), (Text(" "), image))
    assert alone.input_ids.equal(encoder.conversation(turn("How?"), (image,)).input_ids)


def test_an_image_is_never_cut(policies: dict[str, Policy], files: train_kit.Media) -> None:
    answer: Answer = (RED, files.image[0], BLUE, files.image[1])
    for policy in policies.values():
        whole = policy.encoder.conversation(turn("How?"), answer)
        prompt = policy.encoder.prompt(turn("How?"))
        images = [n for n, id in enumerate(whole.input_ids.tolist()) if id == policy.encoder.stop]
        for limit in range(len(prompt) + 1, len(whole) + 1):
            encoder = policy.encoder
            encoder.max_length, encoder.too_long = limit, "cut"
            try:
                cut = encoder.conversation(turn("How?"), answer)
            finally:
                encoder.max_length, encoder.too_long = 3000, "error"
            assert cut.input_ids.equal(whole.input_ids[: len(cut)])
            codes = int(policy.model.is_code(cut.input_ids).sum())
            assert codes == TOKENS * sum(n < limit for n in images)
            assert limit - TOKENS - 2 < len(cut) <= limit


def test_an_image_that_does_not_fit_is_named(janus: Policy, files: train_kit.Media) -> None:
    encoder = janus.encoder
    length = len(encoder.prompt(turn("Draw"), opening="image"))
    encoder.max_length = length + TOKENS - 1
    try:
        for too_long in ("error", "cut", "skip"):
            encoder.too_long = too_long  # type: ignore[assignment]
            with pytest.raises(TooLongError, match=rf"'r7': {length} tokens of prompt and {TOKENS} of ans"):
                encoder.conversation(turn("Draw"), (files.image[0],), "r7")
    finally:
        encoder.max_length, encoder.too_long = 3000, "error"


def test_bad_answers(janus: Policy, files: train_kit.Media, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    cases: list[tuple[Any, str]] = [
        ((files.audio[0],), "record 'r1': the answer holds audio, and the model's answers are text and im"),
        ((File("gone.png", "image"),), "record 'r1': gone.png: no such file"),
        ((Text(" "),), "record 'r1': the answer is empty"),
        ((), "record 'r1': the answer is empty"),
    ]
    for answer, message in cases:
        with pytest.raises(DataError, match=message):
            janus.encoder.check_answer(answer, "r1")
    with pytest.raises(DataError, match=r"record 'r1': .*broken\.png"):
        janus.encoder.conversation(turn("Draw"), (File(str(broken), "image"),), "r1")


def test_a_processor_with_another_number_of_tokens_is_refused(tmp_path: Path, files: train_kit.Media) -> None:
    folder = tiny_discrete.tiny_janus(tmp_path / "janus")
    path = folder / "processor_config.json"
    path.write_text(path.read_text().replace('"min_size": 1', '"min_size": 16'))
    policy = train_kit.policy(folder, reference=False)
    with pytest.raises(UsageError, match=rf"makes 64 tokens of an image of 16 x 16 .* says {TOKENS}"):
        policy.encoder.conversation(turn("Draw"), (files.image[0],))


def test_threads_encode_what_one_would(policies: dict[str, Policy], files: train_kit.Media) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for policy in policies.values():

        def once(n: int, policy: Policy = policy) -> list[int]:
            messages, answer = conversations(files)[n % 6]
            ids: list[int] = policy.encoder.conversation(messages, answer).input_ids.tolist()
            return ids

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(once, range(24)))
        assert found == [once(n) for n in range(24)]


def test_chameleons_own_template_is_saved_and_the_harness_reads_it(chameleon: Policy, tmp_path: Path) -> None:
    from eval_anything_train.policy import save_policy

    assert not load.open_checkpoint(chameleon.folder, None).capabilities.chat
    save_policy(chameleon, chameleon.model, tmp_path / "final")
    opened = load.open_checkpoint(tmp_path / "final", None)
    assert opened.capabilities.chat and "image" in opened.capabilities.inputs
    assert opened.chat_template == chameleon.opened.chat_template


def test_there_are_as_many_codes_as_the_books_have(policies: dict[str, Policy]) -> None:
    for policy in policies.values():
        ids = torch.arange(policy.model.config.get_text_config().vocab_size + CODES)
        codes = policy.model.is_code(ids)
        assert int(codes.sum()) == CODES
        assert sorted(policy.model.code_of(ids[codes]).tolist()) == list(range(CODES))
