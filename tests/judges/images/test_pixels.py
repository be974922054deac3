from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_anything.judges.images.pixels import centre, padded
from eval_anything.media.convert import as_rgb, load_image

SIZES = ((640, 479), (333, 501), (225, 224), (100, 90), (224, 224), (30, 1400), (1, 1), (3, 2))


def _noise(width: int, height: int) -> PIL.Image.Image:
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise)


@pytest.mark.parametrize("size", SIZES)
def test_the_middle_is_that_of_torchvision(size: tuple[int, int]) -> None:
    """ImageReward's published transform, less the normalisation."""
    from eval_anything.models.hf import load

    load.libraries()
    from torchvision import transforms

    bicubic = transforms.InterpolationMode.BICUBIC
    reference = transforms.Compose(
        [transforms.Resize(224, interpolation=bicubic), transforms.CenterCrop(224)]
    )
    seen = centre(_noise(*size), 224)
    assert seen.dtype == np.uint8
    assert (seen == np.asarray(reference(_noise(*size)))).all()


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_the_whole_is_that_of_torchvision(size: tuple[int, int], antialias: bool) -> None:
    """HPSv2's published transform, less the normalisation: a tensor resized by its long side, in black."""
    from eval_anything.models.hf import load

    load.libraries()
    from torchvision.transforms import functional

    tensor = functional.to_tensor(_noise(*size))
    scale = 224 / max(size)
    height, width = round(size[1] * scale), round(size[0] * scale)
    resized = functional.resize(
        tensor, [height, width], functional.InterpolationMode.BICUBIC, antialias=antialias
    )
    left, top = (224 - width) // 2, (224 - height) // 2
    reference = functional.pad(resized, [left, top, 224 - width - left, 224 - height - top])
    seen = padded(_noise(*size), 224, antialias)
    assert seen.dtype == np.float32
    assert np.abs(seen.transpose(2, 0, 1) - reference.numpy()).max() < 1e-4  # Pillow adds up in doubles


def test_whether_the_whole_is_averaged_matters() -> None:
    fine = _noise(1000, 1000)
    averaged, sampled = padded(fine, 224), padded(fine, 224, antialias=False)
    assert averaged.std() < 0.5 * sampled.std()
    assert averaged.mean() == pytest.approx(sampled.mean(), abs=0.01)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 600), st.integers(1, 600), st.sampled_from([16, 28, 224]))
def test_every_size_becomes_a_square(width: int, height: int, side: int) -> None:
    image = PIL.Image.new("RGB", (width, height), (255, 128, 0))
    middle = centre(image, side)
    assert middle.shape == (side, side, 3)
    assert (middle == (255, 128, 0)).all()
    whole = padded(image, side)
    assert whole.shape == (side, side, 3)
    inside = whole.any(axis=2)
    assert whole[inside] == pytest.approx(np.tile([1, 128 / 255, 0], (inside.sum(), 1)), abs=1e-6)
    assert inside.any(axis=0).sum() == max(1, round(width * side / max(width, height)))
    assert inside.any(axis=1).sum() == max(1, round(height * side / max(width, height)))


@pytest.mark.parametrize("size", [(100_000, 1), (1, 100_000), (30_000, 400)])
def test_of_a_strip_the_middle_alone_is_resized(size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, max(size)).astype(np.uint8)
    pixels = np.broadcast_to(ramp if size[0] > size[1] else ramp[:, None], size[::-1])
    middle = centre(as_rgb(PIL.Image.fromarray(np.ascontiguousarray(pixels))), 224)
    assert middle.shape == (224, 224, 3)
    assert middle.min() >= 125
    assert middle.max() <= 129


def test_a_long_strip_is_its_resized_middle() -> None:
    """Just below the aspect from which on the middle is resized alone, both ways are to agree."""
    strip = _noise(640, 11)
    alone = centre(strip.resize((640 * 2, 11)), 224).astype(int)  # an aspect of 116
    size = (224 * 1280 // 11, 224)
    left = round((size[0] - 224) / 2)
    whole = strip.resize((640 * 2, 11)).resize(size, PIL.Image.Resampling.BICUBIC)
    assert np.abs(alone - np.asarray(whole.crop((left, 0, left + 224, 224)))).max() <= 1


def _saved(image: PIL.Image.Image, form: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)  # type: ignore[arg-type]
    return target.getvalue()


def test_files_of_all_kinds_are_seen_alike(tmp_path: Path) -> None:
    """CMYK, a palette, transparency and a camera held sideways end in the same picture."""
    upright = PIL.Image.new("RGB", (60, 40), (255, 255, 255))
    upright.paste((200, 30, 40), (0, 0, 30, 40))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise to be seen upright
    clear = upright.convert("RGBA")
    clear.putalpha(
        PIL.Image.fromarray(np.where(np.asarray(upright)[:, :, 1] == 255, 0, 255).astype(np.uint8))
    )
    files = {
        "plain.png": _saved(upright, "PNG"),
        "cmyk.jpg": _saved(upright.convert("CMYK"), "JPEG", quality=100, subsampling=0),
        "palette.png": _saved(upright.convert("P"), "PNG"),
        "clear.png": _saved(clear, "PNG"),
        "sideways.png": _saved(upright.transpose(PIL.Image.Transpose.ROTATE_90), "PNG", exif=exif),
    }
    seen = {}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        seen[name] = padded(load_image(tmp_path / name), 24)
    for name in ("clear.png", "sideways.png"):
        assert np.abs(seen[name] - seen["plain.png"]).max() < 1e-6, name
    for name in ("cmyk.jpg", "palette.png"):
        assert np.abs(seen[name] - seen["plain.png"]).max() < 0.1, name


def test_normalised_pixels_are_those_of_clip() -> None:
    from eval_anything.judges.images.scorer import normalised

    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    expected = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std
    assert torch.equal(normalised(list(pixels), "cpu"), expected)
    floats = normalised([p.astype(np.float32) / 255 for p in pixels], "cpu")
    assert (floats - expected).abs().max() < 1e-6
