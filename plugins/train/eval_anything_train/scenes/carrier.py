"""The checkpoint that training begins with: a small Qwen2.5-Omni thinker with fresh weights.

Its vocabulary is learnt from the lessons' own texts, so that an answer takes few tokens; any other text is
spelt in bytes. Positions: of the sixteen frequencies of a head, the columns of a picture get those that tell
one step from the next (the usual division leaves them frequencies that hardly turn within a small picture).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from eval_anything.models.hf import omni_random
from eval_anything_train.scenes import rows
from eval_anything_train.scenes.settings import Course

_VOCABULARY = 1024
"""Tokens without the special ones."""
_CORPUS = 4000
"""Rows that the vocabulary is learnt from."""
_TEXT: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 448,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [1, 3, 12]},
    "initializer_range": 0.02,
    "tie_word_embeddings": True,
}


def build(folder: Path, seed: int) -> None:
    """Write it into `folder`; the same bytes for the same seed."""
    import torch
    from transformers import GenerationConfig, Qwen2_5OmniThinkerForConditionalGeneration

    tokenizer = omni_random.with_special(
        omni_random.learnt(_texts(), _VOCABULARY), omni_random.SPECIAL, **omni_random.INIT
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = omni_random.omni_config(tokenizer, _TEXT)
        model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.to(torch.float32).save_pretrained(folder)
    omni_random.omni_processor(tokenizer).save_pretrained(folder)


def _texts() -> Iterator[str]:
    rng = Random("vocabulary")
    for _ in range(_CORPUS):
        row = rows.draw(rng, Course())
        yield from filter(None, (row.system, row.lead))
        for lesson in row.lessons:
            yield from (*lesson.turns, *lesson.answers)
