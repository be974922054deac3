"""Tiny checkpoints with random weights, built and saved with the real classes of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval_anything.models.hf import load, omni_random

WORDS = ["the", "what", "image", "sound", "red", "blue", "yes", "no"]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] in marks %}{{ marks[part['type']] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LM = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}


def chatml(**marks: str) -> str:
    """A chat template that writes `marks[type]` for each media part."""
    return "{% set marks = " + repr(marks) + " %}" + CHATML


def _wide(head: int) -> dict[str, int]:
    """Sizes of a language model whose attention heads have `head` dimensions (vLLM wants 32 at least)."""
    width = head * _LM["num_attention_heads"]
    return {"hidden_size": width, "intermediate_size": 2 * width}


def _language(tokenizer: Any, **more: Any) -> dict[str, Any]:
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return {**_LM, **ids, "vocab_size": len(tokenizer), **more}


def _save(folder: Path, model_class: Any, config: Any, processor: Any) -> Path:
    import torch
    from transformers import GenerationConfig

    tokenizer = getattr(processor, "tokenizer", processor)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = model_class(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tiny_llama(folder: Path, head: int = 16) -> Path:
    """Text only."""
    load.libraries()
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = omni_random.byte_tokenizer(WORDS, {})
    tokenizer.chat_template = chatml()
    config = LlamaConfig(**_language(tokenizer, **_wide(head)))
    return _save(folder, LlamaForCausalLM, config, tokenizer)


def tiny_qwen2_vl(folder: Path, head: int = 16) -> Path:
    """Images and video."""
    load.libraries()
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    special = {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "vision_bos_token": "<|vision_start|>",
        "vision_eos_token": "<|vision_end|>",
    }
    tokenizer = omni_random.byte_tokenizer(WORDS, special)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [head // 8, 3 * head // 16, 3 * head // 16],
    }
    sizes = _wide(head)
    vision = {"depth": 2, "embed_dim": 2 * head, "num_heads": 2, "patch_size": 14}
    config = Qwen2VLConfig(
        text_config=_language(tokenizer, rope_parameters=rope, **sizes),
        vision_config={**vision, "hidden_size": sizes["hidden_size"]},
        image_token_id=ids["image_token"],
        video_token_id=ids["video_token"],
        vision_start_token_id=ids["vision_bos_token"],
        vision_end_token_id=ids["vision_eos_token"],
        tie_word_embeddings=False,
    )
    pixels = {"shortest_edge": 56 * 56, "longest_edge": 84 * 84}
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=pixels),
        video_processor=Qwen2VLVideoProcessor(size=pixels, cap_pixels_per_frame=False),
        tokenizer=tokenizer,
        chat_template=chatml(
            image="<|vision_start|><|image_pad|><|vision_end|>",
            video="<|vision_start|><|video_pad|><|vision_end|>",
        ),
    )
    return _save(folder, Qwen2VLForConditionalGeneration, config, processor)


def tiny_llava(folder: Path) -> Path:
    """Images only, through a processor that has no video part."""
    load.libraries()
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = omni_random.byte_tokenizer(WORDS, {"image_token": "<image>"})
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        ),
        text_config=LlamaConfig(**_language(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    square = {"height": 28, "width": 28}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=square),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chatml(image="<image>\n"),
    )
    return _save(folder, LlavaForConditionalGeneration, config, processor)


def tiny_qwen2_audio(folder: Path) -> Path:
    """Audio only; hears three seconds."""
    load.libraries()
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        WhisperFeatureExtractor,
    )

    special = {
        "audio_token": "<|AUDIO|>",
        "audio_bos_token": "<|audio_bos|>",
        "audio_eos_token": "<|audio_eos|>",
    }
    tokenizer = omni_random.byte_tokenizer(WORDS, special)
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "num_mel_bins": 16,
            "max_source_positions": 150,
        },
        text_config={"model_type": "qwen2", **_language(tokenizer)},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
        tie_word_embeddings=False,
    )
    processor = Qwen2AudioProcessor(
        feature_extractor=WhisperFeatureExtractor(feature_size=16, chunk_length=3),
        tokenizer=tokenizer,
        chat_template=chatml(audio="<|audio_bos|><|AUDIO|><|audio_eos|>"),
    )
    return _save(folder, Qwen2AudioForConditionalGeneration, config, processor)


def tiny_omni(folder: Path) -> Path:
    """Image, audio and video: the checkpoint of `embedded/omni-random`."""
    load.libraries()
    omni_random.build(folder)
    return folder
