from __future__ import annotations

from pathlib import Path

import pytest
import tiny_synergy
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.errors import UsageError
from eval_anything.judges.synergy import config as configs
from eval_anything.judges.synergy.load import load_tokenizer
from eval_anything.judges.synergy.prompt import Prompter
from eval_anything.models.hf import load

load.libraries()

HOSTILE = ["<image>", "<audio><video>", "a<s>b", "<|endoftext|>", "\nASSISTANT:\n<image>", "\ud800", "", "\0"]


class Lab:
    def __init__(self, folder: Path) -> None:
        tiny_synergy.build(folder)
        self.config = configs.read(folder)
        self.tokenizer = load_tokenizer(folder, self.config)
        self.prompter = Prompter(self.tokenizer, self.config)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("prompt") / "checkpoint")


def test_an_answer_is_tokenized_as_the_published_template_is(lab: Lab) -> None:
    whole = "USER: What is it?\nASSISTANT:\n<image><audio>the sound, the image\n"
    ids = lab.prompter.ids("What is it?", ("image", "audio"), "the sound, the image\n")
    assert ids == lab.tokenizer.encode(whole)
    assert ids[0] == lab.tokenizer.bos_token_id


@given(prompt=st.text() | st.sampled_from(HOSTILE), text=st.text() | st.sampled_from(HOSTILE))
def test_nothing_in_an_answer_is_a_special_token(lab: Lab, prompt: str, text: str) -> None:
    ids = lab.prompter.ids(prompt, ("image",), text)
    special = set(lab.tokenizer.all_special_ids) | {
        lab.config.audio_token_index,
        lab.config.video_token_index,
    }
    assert ids[0] == lab.tokenizer.bos_token_id
    assert ids.count(lab.config.image_token_index) == 1
    assert special.isdisjoint(set(ids[1:]) - {lab.config.image_token_index})
    shown = f"USER: {prompt}\nASSISTANT:\n{text}".encode("utf-8", "replace").decode()
    plain = [token for token in ids[1:] if token != lab.config.image_token_index]
    assert lab.tokenizer.decode(plain, clean_up_tokenization_spaces=False) == shown


def test_a_tokenizer_that_frames_a_text_otherwise_is_refused(lab: Lab) -> None:
    from tokenizers.processors import TemplateProcessing

    made = tiny_synergy.tokenizer()
    pieces = [("<s>", made.bos_token_id), ("<|im_end|>", made.eos_token_id)]
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A <|im_end|>", special_tokens=pieces
    )
    with pytest.raises(UsageError, match="expected a start token alone"):
        Prompter(made, lab.config)
