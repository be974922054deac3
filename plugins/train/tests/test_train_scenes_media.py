"""What stages are shown are the very tensors that the processor makes of the scenes' files."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from eval_anything.media.convert import load_audio, load_image, load_video
from eval_anything.models.hf import load
from eval_anything.synth import audio, image
from eval_anything.synth.scene import Scene, scene
from eval_anything_train.scenes import carrier
from eval_anything_train.scenes.media import Media
from eval_anything_train.scenes.perceive import HEARD, SEEN, cells, moments


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    load.libraries()
    from transformers import AutoProcessor

    folder = tmp_path_factory.mktemp("carrier")
    carrier.build(folder, 0)
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def media(processor: Any) -> Media:
    return Media(processor)


def shown(processor: Any, path: Path, frames: int = 0) -> Any:
    if frames:
        clip = np.stack([np.asarray(frame) for frame in load_video(path, frames=frames)])
        text = "<|vision_bos|><|VIDEO|><|vision_eos|>"
        return processor(text=text, videos=[[clip]], return_tensors="pt", videos_kwargs={"fps": 1.0})
    text = "<|vision_bos|><|IMAGE|><|vision_eos|>"
    return processor(text=text, images=[[load_image(path)]], return_tensors="pt")


class Exact(Random):
    """Draws so that a picture is one without the traces of JPEG."""

    def random(self) -> float:
        return 0.9


@pytest.mark.parametrize("seed", range(6))
def test_a_picture_is_the_file(processor: Any, media: Media, tmp_path: Path, seed: int) -> None:
    drawn = scene(Random(seed))
    (tmp_path / "a.png").write_bytes(image.png(drawn))
    pixels, grid = media.picture(drawn, Exact(0))
    expected = shown(processor, tmp_path / "a.png")
    assert torch.equal(pixels, expected["pixel_values"])
    assert list(grid) == expected["image_grid_thw"][0].tolist()


@pytest.mark.parametrize("frames", [2, 4, 8])
def test_a_clip_is_nearly_the_file(processor: Any, media: Media, tmp_path: Path, frames: int) -> None:
    """But for the traces of coding, which depend on all of it."""
    drawn = scene(Random(frames), video=True)
    (tmp_path / "a.mp4").write_bytes(image.mp4(drawn))
    pixels, grid = media.clip(drawn, Random(0), frames)
    expected = shown(processor, tmp_path / "a.mp4", frames)
    assert list(grid) == expected["video_grid_thw"][0].tolist()
    difference = (pixels - expected["pixel_values_videos"]).abs()
    assert difference.mean() < 0.02 and difference.max() < 2
    assert (pixels - expected["pixel_values_videos"].roll(36, 0)).abs().mean() > 0.02 or grid[0] == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_recording_is_the_file(processor: Any, media: Media, tmp_path: Path, seed: int) -> None:
    drawn = scene(Random(seed), sounds=seed + 1)
    (tmp_path / "a.wav").write_bytes(audio.wav(drawn))
    mels, held = media.sounds([drawn])
    samples = load_audio(tmp_path / "a.wav", 16000)
    expected = processor(
        text="<|audio_bos|><|AUDIO|><|audio_eos|>",
        audio=[samples],
        return_tensors="pt",
        audio_kwargs={"sampling_rate": 16000},
    )
    assert (mels - expected["input_features"]).abs().max() < 0.01
    assert torch.equal(held, expected["feature_attention_mask"])
    assert int(held.sum()) == media.mel_frames(drawn)
    places = expected["input_ids"][0] == processor.tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    assert int(places.sum()) == media.sound_tokens(drawn) == len(moments(drawn, media.mel_frames(drawn)))


def test_a_picture_that_is_not_square(media: Media) -> None:
    grids = {media.odd_picture(scene(Random(n)), Random(n))[1] for n in range(20)}
    assert len(grids) > 1
    for _, rows, columns in grids:
        assert rows * columns <= 36 and rows % 2 == columns % 2 == 0


def test_the_truth_of_each_token() -> None:
    drawn = scene(Random(3), objects=3, sounds=2, video=True)
    told = cells(drawn)
    assert told.shape == (9, len(SEEN))
    assert [cell for cell in range(9) if told[cell, 0]] == [obj.cell for obj in drawn.objects]
    heard = moments(drawn, 36)
    assert heard.shape[1] == len(HEARD)
    assert sorted(set(heard[:, 1].tolist())) == [0, 1, 2]  # silence, the first sound, the second


def test_two_scenes_that_differ_in_one_cell_differ_there_alone(media: Media) -> None:
    one = scene(Random(5), objects=2)
    other = Scene(one.objects[:1], one.sounds)
    changed = media.picture(one, Exact(0))[0] != media.picture(other, Exact(0))[0]
    patches = changed.any(1).nonzero().flatten() // 4
    assert set(patches.tolist()) == {one.objects[1].cell}
