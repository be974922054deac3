"""Tiny Janus and Chameleon with random weights, and pictures for their answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny_generators
import torch
from tiny_models import WORDS
from train_kit import Media, turn

from eval_anything.models.hf import load, omni_random
from eval_anything.values import Message, Text
from eval_anything_train.encode import Encoded
from eval_anything_train.policy import Policy
from eval_anything_train.values import Answer

EDGE = 8
"""Width of an image."""
TOKENS, CODES = 16, 32
"""Tokens of an image, and how many different ones there are."""
JANUS_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>: {% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<image>{{ '\n' }}{% else %}{{ p['text'] }}{% endif %}{% endfor %}"
    "{% if m['role'] == 'assistant' %}<|im_end|>{% else %}{{ '\n\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>:{% endif %}"
)
"""As Janus-Pro's."""


def _livelier(model: Any, seed: int = 1) -> None:
    """Weights with which what comes before a token matters for it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
            elif weight.ndim == 4:
                weight.mul_(3)
    model.tie_weights()


def tiny_janus(folder: Path) -> Path:
    """Sees images of 8 x 8, and makes such. Its prompts for text have a system prompt, as Janus-Pro's."""
    tiny_generators.tiny_janus(folder)
    from transformers import AutoProcessor, GenerationConfig, JanusForConditionalGeneration

    model = JanusForConditionalGeneration.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    _livelier(model)
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    processor.chat_template = tokenizer.chat_template = JANUS_TEMPLATE
    processor.use_default_system_prompt = True
    processor.image_processor.min_size = 1
    processor.save_pretrained(folder)
    return folder


def tiny_chameleon(folder: Path) -> Path:
    """Sees images of 8 x 8, and has tokens for such. Without a chat template, as Meta's."""
    load.libraries()
    from transformers import (
        ChameleonConfig,
        ChameleonForConditionalGeneration,
        ChameleonImageProcessor,
        ChameleonProcessor,
        GenerationConfig,
    )

    marks = {"image_token": "<image>", "boi_token": "<boi>", "eoi_token": "<eoi>", "sep_token": "<sep>"}
    tokenizer = omni_random.byte_tokenizer(WORDS, marks)
    tokenizer.add_tokens([_code_name(code) for code in _SHUFFLED])
    names = [_code_name(code) for code in range(CODES)]
    config = ChameleonConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        vocabulary_map={name: tokenizer.convert_tokens_to_ids(name) for name in (*names, "<image>")},
        vq_config={
            "embed_dim": 8, "num_embeddings": CODES, "latent_channels": 8, "resolution": EDGE,
            "base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1,
        },
    )  # fmt: skip
    model = ChameleonForConditionalGeneration(config)
    _livelier(model)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    square = {"height": EDGE, "width": EDGE}
    ChameleonProcessor(
        ChameleonImageProcessor(size={"shortest_edge": EDGE}, crop_size=square),
        tokenizer,
        image_seq_length=TOKENS,
    ).save_pretrained(folder)
    return folder


_SHUFFLED = [*range(CODES // 2, CODES), *range(CODES // 2)]
"""The order of codes in the vocabulary is not that of the VQ model, and need not be."""


def _code_name(code: int) -> str:
    """As the vocabulary of Chameleon writes numbers: with letters for digits."""
    return "IMGIMG" + "".join(chr(ord("A") + int(digit)) for digit in str(code)) + "Z"


MAKERS = {"janus": tiny_janus, "chameleon": tiny_chameleon}


def conversations(files: Media) -> list[tuple[tuple[Message, ...], Answer]]:
    """Prompts with and without images; answers of an image, of words, of both in either order, of several."""
    one, two, three = files.image
    system = Message("system", (Text("Be brief."),))
    red, blue = Text("A red circle"), Text("and a blue square, yes")
    return [
        (turn("Draw a red circle."), (one,)),
        (turn(one, "What is it?"), (red,)),
        (turn("Explain red " * 3), (red, two)),
        ((system, *turn(two, three, "the same in blue")), (three, blue)),
        (turn(one, "How?"), (red, two, blue, one)),
        (turn("Draw the sound of it, " * 3), (three,)),
    ]


def rows(policy: Policy, files: Media) -> list[Encoded]:
    """`conversations`, encoded."""
    return [
        policy.encoder.conversation(messages, answer, f"r{n}")
        for n, (messages, answer) in enumerate(conversations(files))
    ]
