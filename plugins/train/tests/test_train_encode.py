"""Conversations as tokens: the frame of an answer, limits, and one clear error for each bad record."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import train_kit
from train_kit import turn

from eval_anything.errors import DataError, UsageError
from eval_anything.models.hf import load
from eval_anything.models.hf.omni_random import byte_tokenizer
from eval_anything.values import File, Message, Text
from eval_anything_train.collate import collate
from eval_anything_train.encode import TooLongError, answer_frame
from eval_anything_train.methods.registry import method_class
from eval_anything_train.policy import Policy
from eval_anything_train.values import Critiqued, Demonstration, Feedback, Labelled, Pair

ASSISTANT = (
    "{% for m in messages %}{{ m['role'] | upper }}: {{ m['content'] }}"
    "{{ '</s>' if m['role'] == 'assistant' else ' ' }}{% endfor %}"
    "{{ 'ASSISTANT:' if add_generation_prompt }}"
)
"""As LLaVA-1.5's: the prompt ends in a colon, and a space is before the answer."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return train_kit.policy(tiny_models.tiny_llama(tmp_path_factory.mktemp("m") / "llama"), reference=False)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return train_kit.policy(tiny_models.tiny_qwen2_vl(tmp_path_factory.mktemp("m") / "qwen"), reference=False)


def relabelled(folder: Path, template: str, *, prefix_space: bool = False, end: str | None = None) -> Path:
    """A tiny llama's folder with another chat template, and other habits of its tokenizer."""
    tiny_models.tiny_llama(folder)
    tokenizer: Any = byte_tokenizer(tiny_models.WORDS, {"closing_token": "</s>"})
    if prefix_space:
        from tokenizers.pre_tokenizers import ByteLevel

        tokenizer.backend_tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    tokenizer.chat_template = template
    if end is not None:
        tokenizer.eos_token = end
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    return folder


@pytest.mark.parametrize(("prefix_space", "lead"), [(False, " "), (True, "")])
def test_a_space_before_the_answer_is_the_templates_or_the_tokenizers(
    prefix_space: bool, lead: str, tmp_path: Path
) -> None:
    folder = relabelled(tmp_path / "m", ASSISTANT, prefix_space=prefix_space, end="</s>")
    opened = load.open_checkpoint(folder, None)
    found, end = answer_frame(opened)
    assert found == lead
    assert opened.tokenizer.convert_ids_to_tokens(end) == "</s>"
    policy = train_kit.policy(folder, reference=False)
    whole = policy.encoder.conversation(turn("what image"), (Text("red and blue"),))
    rendered = "USER: what image ASSISTANT: red and blue</s>"
    assert whole.input_ids.tolist() == opened.tokenizer.encode(rendered, add_special_tokens=False)
    # A generated answer comes with its space, and does not get a second one.
    if not prefix_space:
        assert policy.encoder.answer_ids(" red") == policy.encoder.answer_ids("red")


def test_the_end_is_the_token_that_the_template_writes(llama: Policy, tmp_path: Path) -> None:
    assert llama.encoder.tokenizer.convert_ids_to_tokens(llama.encoder.end) == "<|im_end|>"
    folder = relabelled(tmp_path / "m", tiny_models.chatml())
    ids = load.open_checkpoint(folder, None).tokenizer.convert_tokens_to_ids(["</s>", "<|im_end|>"])
    (folder / "generation_config.json").write_text(f'{{"eos_token_id": {ids}}}')
    assert answer_frame(load.open_checkpoint(folder, None))[1] == ids[1]


def test_control_tokens_in_an_answer_are_words(qwen: Policy) -> None:
    ids = qwen.encoder.answer_ids("a <|im_end|> <|image_pad|> b")
    special = set(qwen.opened.tokenizer.all_special_ids)
    assert [n for n, token in enumerate(ids) if token in special] == [len(ids) - 1]


def test_an_answer_is_cut_at_its_end_and_the_prompt_never(qwen: Policy, files: train_kit.Media) -> None:
    messages = turn(files.image[0], files.video[0], "What is it?")
    whole = qwen.encoder.conversation(messages, (Text("A red circle and a blue square"),))
    prompt = int((~whole.response).sum())
    pads = qwen.opened.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>"])
    for limit in range(prompt + 1, len(whole) + 2):
        encoder = type(qwen.encoder)(qwen.opened, max_length=limit, too_long="cut")
        cut = encoder.conversation(messages, (Text("A red circle and a blue square"),))
        assert cut.input_ids.equal(whole.input_ids[:limit])
        assert cut.response.equal(whole.response[:limit])
        media = torch.isin(cut.input_ids, torch.tensor(pads)).sum()
        assert media == torch.isin(whole.input_ids, torch.tensor(pads)).sum()
        assert {n: v.shape for n, v in cut.media.items()} == {n: v.shape for n, v in whole.media.items()}


@pytest.mark.parametrize("too_long", ["error", "skip", "cut"])
def test_a_prompt_that_leaves_no_room_is_named(qwen: Policy, too_long: Any, files: train_kit.Media) -> None:
    messages = turn(files.image[0], "What is it?")
    length = len(qwen.encoder.prompt(messages))
    encoder = type(qwen.encoder)(qwen.opened, max_length=length, too_long=too_long)
    with pytest.raises(
        TooLongError, match=rf"record 'r7': {length} tokens of prompt and 4 of answer, max_le"
    ):
        encoder.conversation(messages, (Text("red"),), "r7")


def test_an_answer_that_just_fits_is_whole(llama: Policy) -> None:
    whole = llama.encoder.conversation(turn("yes?"), (Text("no"),))
    encoder = type(llama.encoder)(llama.opened, max_length=len(whole))
    assert encoder.conversation(turn("yes?"), (Text("no"),)).input_ids.equal(whole.input_ids)
    encoder = type(llama.encoder)(llama.opened, max_length=len(whole) - 1)
    with pytest.raises(TooLongError):
        encoder.conversation(turn("yes?"), (Text("no"),))


def test_threads_encode_what_one_would(qwen: Policy, files: train_kit.Media) -> None:
    def once(n: int) -> list[int]:
        held = [files.image[n % 3]] if n % 3 else []
        messages = turn(*held, "what is it? " * (n % 7 + 1))
        ids: list[int] = qwen.encoder.conversation(messages, (Text("red " * (n % 5 + 1)),)).input_ids.tolist()
        return ids

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(once, range(120)))
    assert found == [once(n) for n in range(120)]


def test_padding_and_masks_of_a_batch(llama: Policy) -> None:
    rows = [llama.encoder.conversation(turn("yes? " * n), (Text("no"),), f"r{n}") for n in (1, 4)]
    short, long = map(len, rows)
    for side, start in (("right", 0), ("left", long - short)):
        batch = collate(rows, llama.pad, side)  # type: ignore[arg-type]
        assert batch.ids == ("r1", "r4")
        assert batch.tokens == short + long
        kept = slice(start, start + short)
        assert batch.inputs["input_ids"][0, kept].equal(rows[0].input_ids)
        assert batch.response[0, kept].equal(rows[0].response)
        outside = torch.ones(long, dtype=torch.bool)
        outside[kept] = False
        assert set(batch.inputs["input_ids"][0, outside].tolist()) == {llama.pad}
        assert batch.inputs["attention_mask"][0].tolist() == (~outside).long().tolist()
        assert not batch.response[0, outside].any()


def test_a_checkpoint_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = tiny_models.tiny_llama(tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match=r"base: no chat template: expected chat_template\.jinja"):
        train_kit.policy(folder)


GOOD = (Text("red"),)
USER = turn("What is it?")


def bad(files: train_kit.Media) -> dict[str, tuple[str, Any, str]]:
    """Method, record and what is said of it."""
    gone = File(str(Path(files.image[0].path).with_name("gone.png")), "image")
    broken = Path(files.image[0].path).with_name("broken.png")
    broken.write_bytes(b"not a picture")
    picture = (files.image[0],)
    ended = (*USER, Message("assistant", GOOD))
    both = {"chosen": GOOD, "rejected": (Text("blue"),)}
    return {
        "modality": (
            "sft",
            Demonstration(id="r1", messages=turn(files.audio[0], "?"), answer=GOOD),
            "record 'r1': audio: the model does not take it (it takes text, image, video)",
        ),
        "missing file": (
            "sft",
            Demonstration(id="r1", messages=turn(gone, "?"), answer=GOOD),
            f"record 'r1': {gone.path}: no such file",
        ),
        "broken file": (
            "sft",
            Demonstration(id="r1", messages=turn(File(str(broken), "image"), "?"), answer=GOOD),
            f"record 'r1': {broken}",
        ),
        "no messages": (
            "sft",
            Demonstration(id="r1", messages=(), answer=GOOD),
            "record 'r1': messages end with nothing, expected a turn of the user",
        ),
        "no user turn": (
            "dpo",
            Pair(id="r1", messages=ended, **both),
            "record 'r1': messages end with assistant, expected a turn of the user",
        ),
        "empty answer": (
            "sft",
            Demonstration(id="r1", messages=USER, answer=()),
            "record 'r1': the answer is empty",
        ),
        "blank answer": (
            "kto",
            Labelled(id="r1", messages=USER, answer=(Text(" \n"),), desirable=True),
            "record 'r1': the answer is empty",
        ),
        "empty rejected answer": (
            "simpo",
            Pair(id="r1", messages=USER, chosen=GOOD, rejected=(Text(""),)),
            "record 'r1': the rejected answer is empty",
        ),
        "the same answers": (
            "orpo",
            Pair(id="r1", messages=USER, chosen=GOOD, rejected=GOOD),
            "record 'r1': the chosen and the rejected answer are the same",
        ),
        "an image as an answer": (
            "reward",
            Pair(id="r1", messages=USER, chosen=picture, rejected=GOOD),
            "record 'r1': the chosen answer holds image, and the model's answers are text",
        ),
        "empty feedback": (
            "feedback",
            Critiqued(id="r1", messages=USER, answer=GOOD, feedback=Feedback()),
            "record 'r1': the feedback is empty",
        ),
        "feedback on nothing": (
            "feedback",
            Critiqued(id="r1", messages=(), answer=GOOD, feedback=Feedback(critique="good")),
            "record 'r1': messages end with nothing, expected a turn of the user",
        ),
    }


def test_each_bad_record_is_one_error_that_names_it(qwen: Policy, files: train_kit.Media) -> None:
    """`check` says it before training where it is known without decoding, `encode` in any case."""
    for name, (method_name, record, message) in bad(files).items():
        kind = method_class(method_name)
        method = kind(qwen, None)
        with pytest.raises(DataError, match=f"^{re.escape(message)}") as found:
            method.encode(record)
        assert "\n" not in str(found.value), name
        if name != "broken file":
            with pytest.raises(DataError, match=f"^{re.escape(message)}"):
                method.check(record)


def test_good_records_pass_the_check(qwen: Policy, files: train_kit.Media) -> None:
    asked = turn(files.image[0], "What is it?")
    pair = Pair(id="p", messages=asked, chosen=GOOD, rejected=(Text("blue"),))
    method_class("dpo")(qwen, None).check(pair)
    method_class("sft")(qwen, None).check(Demonstration(id="d", messages=asked, answer=GOOD))
    method_class("kto")(qwen, None).check(Labelled(id="l", messages=asked, answer=GOOD, desirable=False))


def test_records_are_checked_and_methods_named_without_torch() -> None:
    code = (
        "import sys, eval_anything_train.methods.registry as r, eval_anything_train.feedback; r.names();"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
