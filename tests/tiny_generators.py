"""Tiny generators with random weights: real pipelines and models, saved and loadable as any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eval_anything.models.hf import load, omni_random

WORDS = ["a", "red", "blue", "circle", "star", "dog", "barks", "the"]
_CLIP: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2,
    "projection_dim": 32, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
_T5: dict[str, Any] = {
    "d_model": 32, "d_ff": 37, "d_kv": 8, "num_heads": 4, "num_layers": 2, "decoder_start_token_id": 0,
}  # fmt: skip


def _seeded() -> None:
    load.libraries()
    import torch

    torch.set_num_threads(1)  # tensors this small only lose by more
    torch.manual_seed(1)


def _square(edge: int) -> dict[str, int]:
    return {"height": edge, "width": edge}


def _clip_tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def _t5_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import T5TokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789,."
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0)]
    tokenizer = Tokenizer(models.Unigram([*pieces, *((letter, -3.0) for letter in letters)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0, model_max_length=77)


def _clip_text(tokenizer: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**_CLIP, vocab_size=len(tokenizer), max_position_embeddings=77))


def _vae(**more: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        **{"in_channels": 3, "out_channels": 3, "latent_channels": 4, **more},
    )


def tiny_sd(folder: Path, safety_checker: Any = None) -> Path:
    """Stable Diffusion, images of 32 x 32."""
    _seeded()
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPImageProcessor

    tokenizer = _clip_tokenizer(folder / "tokenizer")
    StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            block_out_channels=(8, 16),
            layers_per_block=1,
            sample_size=16,
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=4,
        ),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=safety_checker,
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 30}, crop_size=_square(30)),
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def tiny_sd_that_hides(folder: Path) -> Path:
    """Stable Diffusion whose safety checker takes offence at every picture."""
    _seeded()
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    vision = {**_CLIP, "image_size": 30, "patch_size": 15}
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(text_config={}, vision_config=vision, projection_dim=32)
    )
    with torch.no_grad():
        for weights in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
            weights.fill_(-2.0)  # a threshold below every cosine
    return tiny_sd(folder, checker)


def tiny_flux(folder: Path) -> Path:
    """FLUX without guidance embeddings, as schnell is; images of 16 x 16."""
    _seeded()
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    clip, t5 = _clip_tokenizer(folder / "tokenizer"), _t5_tokenizer()
    FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_vae(
            latent_channels=1,
            use_quant_conv=False,
            use_post_quant_conv=False,
            scaling_factor=1.5,
            shift_factor=0.1,
        ),
        text_encoder=_clip_text(clip),
        tokenizer=clip,
        text_encoder_2=T5EncoderModel(T5Config(**_T5, vocab_size=len(t5))),
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=[4, 4, 8],
            guidance_embeds=False,
        ),
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def tiny_cogvideox(folder: Path) -> Path:
    """CogVideoX, clips of 16 x 16."""
    _seeded()
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXPipeline,
        CogVideoXTransformer3DModel,
        DDIMScheduler,
    )
    from transformers import T5Config, T5EncoderModel

    t5 = _t5_tokenizer()
    CogVideoXPipeline(
        tokenizer=t5,
        text_encoder=T5EncoderModel(T5Config(**_T5, vocab_size=len(t5))),
        vae=AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            temporal_compression_ratio=4,
        ),
        transformer=CogVideoXTransformer3DModel(
            num_attention_heads=4,
            attention_head_dim=8,
            in_channels=4,
            out_channels=4,
            time_embed_dim=2,
            text_embed_dim=32,
            num_layers=1,
            sample_width=2,
            sample_height=2,
            sample_frames=9,
            patch_size=2,
            temporal_compression_ratio=4,
            max_text_seq_length=16,
        ),
        scheduler=DDIMScheduler(),
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def tiny_audioldm2(folder: Path) -> Path:
    """AudioLDM2, mono at 16 kHz."""
    _seeded()
    from diffusers import AudioLDM2Pipeline, DDIMScheduler
    from diffusers.pipelines.audioldm2 import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel
    from transformers import (
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        GPT2Config,
        GPT2LMHeadModel,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        T5Config,
        T5EncoderModel,
    )

    roberta, t5 = _roberta_tokenizer(folder / "tokenizer"), _t5_tokenizer()
    clap = ClapConfig(
        text_config={
            "hidden_size": 8, "intermediate_size": 37, "num_attention_heads": 2, "num_hidden_layers": 1,
            "projection_dim": 16, "vocab_size": len(roberta),
            "max_position_embeddings": 520, "pad_token_id": 1,
        },
        audio_config={
            "spec_size": 8, "num_mel_bins": 8, "patch_size": 1, "patch_stride": 1, "depths": [1, 1],
            "num_attention_heads": [1, 1], "patch_embeds_hidden_size": 6, "hidden_size": 12,
            "window_size": 1, "projection_dim": 16,
        },
        projection_dim=16,
    )  # fmt: skip
    AudioLDM2Pipeline(
        vae=_vae(in_channels=1, out_channels=1),
        text_encoder=ClapModel(clap),
        text_encoder_2=T5EncoderModel(T5Config(**_T5, vocab_size=len(t5))),
        projection_model=AudioLDM2ProjectionModel(16, 32, 16),
        language_model=GPT2LMHeadModel(
            GPT2Config(n_embd=16, n_head=2, n_layer=1, vocab_size=40, n_positions=99, max_new_tokens=8,
                       bos_token_id=0, eos_token_id=0)
        ),
        tokenizer=roberta,
        tokenizer_2=t5,
        feature_extractor=ClapFeatureExtractor(feature_size=8, hop_length=160),
        unet=AudioLDM2UNet2DConditionModel(
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=8,
            sample_size=32,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=((None, 16, 32), (None, 16, 32)),
        ),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False),
        vocoder=SpeechT5HifiGan(
            SpeechT5HifiGanConfig(
                model_in_dim=8, sampling_rate=16000, upsample_initial_channel=16, upsample_rates=[2, 2],
                upsample_kernel_sizes=[4, 4], resblock_kernel_sizes=[3, 7],
                resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]], normalize_before=False, initializer_range=0.2,
            )
        ),
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder


def _roberta_tokenizer(folder: Path) -> Any:
    from transformers import RobertaTokenizer

    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "\u0120", *"abcdefghijklmnopqrstuvwxyz"]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def tiny_musicgen(folder: Path) -> Path:
    """MusicGen, mono."""
    _seeded()
    from transformers import (
        EncodecConfig,
        EncodecFeatureExtractor,
        EncodecModel,
        MusicgenDecoderConfig,
        MusicgenForCausalLM,
        MusicgenForConditionalGeneration,
        MusicgenProcessor,
        T5Config,
        T5EncoderModel,
    )

    t5 = _t5_tokenizer()
    codebook = 64
    audio = EncodecConfig(
        sampling_rate=8000, num_filters=2, hidden_size=8, codebook_size=codebook, codebook_dim=8,
        upsampling_ratios=[4, 4], num_lstm_layers=1, target_bandwidths=[6.0], num_residual_layers=1,
    )  # fmt: skip
    model = MusicgenForConditionalGeneration(
        text_encoder=T5EncoderModel(T5Config(**_T5, vocab_size=len(t5))),
        audio_encoder=EncodecModel(audio),
        decoder=MusicgenForCausalLM(
            MusicgenDecoderConfig(
                vocab_size=codebook, hidden_size=32, num_hidden_layers=2, ffn_dim=64, num_attention_heads=4,
                num_codebooks=2, max_position_embeddings=512, pad_token_id=codebook, bos_token_id=codebook,
            )
        ),
    )  # fmt: skip
    for layer in model.audio_encoder.quantizer.layers:
        layer.codebook.embed.normal_()  # zero before training: all codes would sound alike
    model.generation_config.update(
        do_sample=True, guidance_scale=3.0, max_length=64, pad_token_id=codebook, bos_token_id=codebook,
        decoder_start_token_id=codebook,
    )  # fmt: skip
    model.save_pretrained(folder)
    MusicgenProcessor(EncodecFeatureExtractor(sampling_rate=8000), t5).save_pretrained(folder)
    return folder


def tiny_janus(folder: Path) -> Path:
    """Janus, images of 8 x 8."""
    _seeded()
    from transformers import JanusConfig, JanusForConditionalGeneration, JanusImageProcessor, JanusProcessor

    special = {"image_token": "<image>", "boi_token": "<boi>", "eoi_token": "<eoi>"}
    tokenizer = omni_random.byte_tokenizer(WORDS, special)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: "
        "{% for p in m['content'] %}{{ p['text'] }}{% endfor %}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    tokens, codes = 16, 32
    config = JanusConfig(
        text_config={
            "model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
            "max_position_embeddings": 512, "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8,
            "patch_size": 2, "projection_dim": 32, "num_image_tokens": tokens, "depth": 2,
        },
        vq_config={
            "embed_dim": 8, "num_embeddings": codes, "latent_channels": 8, "base_channels": 32,
            "channel_multiplier": [1, 1], "num_res_blocks": 1, "num_patches": 4, "image_token_embed_dim": 32,
            "projection_dim": 32,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    JanusForConditionalGeneration(config).save_pretrained(folder)
    JanusProcessor(
        JanusImageProcessor(size=_square(8)), tokenizer, num_image_tokens=tokens,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_vits(folder: Path) -> Path:
    """VITS with two voices, at 16 kHz."""
    _seeded()
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz "
    (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, **{c: i + 1 for i, c in enumerate(letters)}}))
    tokenizer = VitsTokenizer(str(folder / "vocab.json"), unk_token="<pad>", phonemize=False)
    VitsModel(
        VitsConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16,
            flow_size=16, spectrogram_bins=8, num_speakers=2, speaker_embedding_size=4, sampling_rate=16000,
            upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
            resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], prior_encoder_num_flows=1,
            prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1,
            duration_predictor_num_flows=2, duration_predictor_filter_channels=16,
            depth_separable_num_layers=1, wavenet_dilation_rate=1,
        )
    ).save_pretrained(folder)  # fmt: skip
    tokenizer.save_pretrained(folder)
    return folder


def tiny_bark(folder: Path) -> Path:
    """Bark, at 8 kHz, 20 semantic tokens at most."""
    _seeded()
    from transformers import (
        BarkCoarseConfig,
        BarkConfig,
        BarkFineConfig,
        BarkModel,
        BarkProcessor,
        BarkSemanticConfig,
        EncodecConfig,
    )
    from transformers.models.bark.generation_configuration_bark import (
        BarkCoarseGenerationConfig,
        BarkFineGenerationConfig,
        BarkGenerationConfig,
        BarkSemanticGenerationConfig,
    )

    tokenizer = _t5_tokenizer()
    layers: dict[str, Any] = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "block_size": 512}
    semantic, codebook = 60, 16
    text, coarse = len(tokenizer), semantic + 2 * codebook + 2
    config = BarkConfig(
        semantic_config=BarkSemanticConfig(
            **layers, input_vocab_size=semantic + text + 3, output_vocab_size=semantic + text + 3
        ).to_dict(),
        coarse_acoustics_config=BarkCoarseConfig(
            **layers, input_vocab_size=coarse, output_vocab_size=coarse
        ).to_dict(),
        fine_acoustics_config=BarkFineConfig(
            **layers, input_vocab_size=codebook + 1, output_vocab_size=codebook + 1, n_codes_total=8,
            n_codes_given=1,
        ).to_dict(),
        codec_config=EncodecConfig(
            sampling_rate=8000, num_filters=2, hidden_size=8, codebook_size=codebook, codebook_dim=8,
            upsampling_ratios=[4, 4], num_lstm_layers=1, target_bandwidths=[16.0], num_residual_layers=1,
        ).to_dict(),
    )  # fmt: skip
    model = BarkModel(config)
    for layer in model.codec_model.quantizer.layers:
        layer.codebook.embed.normal_()
    model.save_pretrained(folder)
    generation = BarkGenerationConfig.from_sub_model_configs(
        BarkSemanticGenerationConfig(
            max_new_tokens=20, semantic_vocab_size=semantic, eos_token_id=semantic,
            text_encoding_offset=semantic, text_pad_token=semantic + text,
            semantic_infer_token=semantic + text + 1, semantic_pad_token=semantic,
            max_input_semantic_length=32,
        ),
        BarkCoarseGenerationConfig(
            coarse_semantic_pad_token=semantic + 2 * codebook, coarse_infer_token=semantic + 2 * codebook + 1,
            max_coarse_input_length=32, max_coarse_history=60, sliding_window_len=30,
        ),
        BarkFineGenerationConfig(max_fine_history_length=64, max_fine_input_length=128, n_fine_codebooks=8),
        sample_rate=8000, codebook_size=codebook,
    )  # fmt: skip
    # As the published checkpoints have it: the class cannot save itself.
    (folder / "generation_config.json").write_text(json.dumps(generation.to_dict()))
    BarkProcessor(tokenizer).save_pretrained(folder)
    return folder
