"""A small omni model with random weights, made from code: the carrier of `embedded/omni-random`.

A Qwen2.5-Omni thinker of about 3 million parameters that takes text, image, audio and video and gives text.
It goes through the very classes, processors and templates that a real checkpoint goes through, so that a
whole run can be tried, tested and timed with no download. Its answers are noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

SEED = 20250

# Words that prompts and answers are full of: each is one token, and so is each of its beginnings.
# fmt: off
_WORDS = [
    "the", "and", "what", "how", "many", "is", "are", "in", "of", "this", "there", "you", "hear", "see",
    "image", "audio", "video", "sound", "picture", "question", "answer", "describe", "object", "circle",
    "square", "triangle", "star", "red", "green", "blue", "yellow", "black", "white", "large", "small",
    "left", "right", "top", "bottom", "moving", "bell", "drum", "tone", "noise", "high", "low", "first",
    "second", "then", "one", "two", "three", "four", "five", "yes", "no", "not", "with", "which",
    "color", "count", "same", "as", "more", "than", "before", "after", "please", "user", "instruction",
    "response",
]
# fmt: on

SPECIAL = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
_END, _START, _PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_bos|><|IMAGE|><|vision_eos|>"
    "{% elif part['type'] == 'video' %}<|vision_bos|><|VIDEO|><|vision_eos|>"
    "{% elif part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_PIXELS = {"shortest_edge": 96 * 96, "longest_edge": 96 * 96}  # area: a square image becomes 6 x 6 patches

# The omni processor has a video size of its own that outranks the video processor's; the tokenizer's init
# arguments outrank both, and without them eight small frames become hundreds of tokens.
INIT: dict[str, Any] = {"model_max_length": 32768, "size": _PIXELS, "do_sample_frames": False}
"""What its tokenizer is made with."""

_TEXT: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
    "initializer_range": 0.1,
    "tie_word_embeddings": False,
}


def byte_tokenizer(words: Sequence[str], special: dict[str, str], **init: Any) -> Any:
    """A byte-level BPE tokenizer built by rule, not trained: any text round-trips, the same on each machine.

    `words` become single tokens (with the space before them); `special` maps attribute names of the tokenizer
    ("image_token") to token strings; `init` goes to the tokenizer's constructor and is saved with it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    space = "\u0120"  # how the byte-level alphabet writes a space
    vocab = {symbol: i for i, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges: list[tuple[str, str]] = []
    for word in words:
        built = space
        for letter in word:
            if built + letter not in vocab:
                vocab[built + letter] = len(vocab)
                merges.append((built, letter))
            built += letter
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return with_special(tokenizer, special, **init)


def learnt(texts: Iterable[str], size: int) -> Any:
    """A byte-level BPE of the `tokenizers` library with `size` tokens, learnt from `texts`: any text
    round-trips."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def with_special(tokenizer: Any, special: dict[str, str], **init: Any) -> Any:
    """A tokenizer of the `tokenizers` library as transformers has it, with the tokens for turns and media."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in (_PAD, _START, _END, *special.values())]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        eos_token=_END,
        padding_side="left",
        extra_special_tokens=special,
        **init,
    )


def omni_config(tokenizer: Any, text: dict[str, Any], audio: dict[str, Any] | None = None) -> Any:
    """The configuration of a thinker for 96 x 96 pixels and 3 seconds; `text` and `audio` are what its
    language model and its audio encoder have otherwise than what stands here."""
    from transformers import Qwen2_5OmniThinkerConfig

    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in SPECIAL.items()}
    return Qwen2_5OmniThinkerConfig(
        audio_config={
            "d_model": 128,
            "encoder_layers": 3,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 384,
            "num_mel_bins": 40,
            "n_window": 48,
            "max_source_positions": 128,
            "output_dim": text["hidden_size"],
            **(audio or {}),
        },
        vision_config={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_heads": 4,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 96,
            "fullatt_block_indexes": [0, 1, 2, 3],
            "out_hidden_size": text["hidden_size"],
        },
        text_config={
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 32768,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            **text,
        },
        image_token_id=ids["image_token"],
        audio_token_id=ids["audio_token"],
        video_token_id=ids["video_token"],
        vision_start_token_id=ids["vision_bos_token"],
        vision_end_token_id=ids["vision_eos_token"],
        audio_start_token_id=ids["audio_bos_token"],
        audio_end_token_id=ids["audio_eos_token"],
        position_id_per_seconds=1,
        seconds_per_chunk=2,
        tie_word_embeddings=text["tie_word_embeddings"],
    )


def omni_processor(tokenizer: Any) -> Any:
    """The processor that belongs to it; `tokenizer` has SPECIAL and SIZE."""
    from transformers import (
        Qwen2_5OmniProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        WhisperFeatureExtractor,
    )

    patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "size": _PIXELS}
    return Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(**patches),
        video_processor=Qwen2VLVideoProcessor(**patches, cap_pixels_per_frame=False, do_sample_frames=False),
        feature_extractor=WhisperFeatureExtractor(
            feature_size=40, sampling_rate=16000, hop_length=500, n_fft=512, chunk_length=3
        ),
        tokenizer=tokenizer,
        chat_template=_TEMPLATE,
    )


def build(folder: Path) -> None:
    """Write the checkpoint (weights, configuration, processor) into `folder`; the same bytes each time."""
    import torch
    from transformers import GenerationConfig, Qwen2_5OmniThinkerForConditionalGeneration

    tokenizer = byte_tokenizer(_WORDS, SPECIAL, **INIT)
    processor = omni_processor(tokenizer)
    # Usual ranges of fresh weights would make answers that hardly depend on the prompt.
    config = omni_config(tokenizer, _TEXT, {"initializer_range": 0.15})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        eos_token_id=processor.tokenizer.eos_token_id, pad_token_id=processor.tokenizer.pad_token_id
    )
    model.to(torch.float32).save_pretrained(folder)
    processor.save_pretrained(folder)
