from random import Random

import numpy as np
import pytest

from eval_anything.media.convert import load_image, load_video
from eval_anything.synth import image
from eval_anything.synth.scene import CELLS, COLOURS, MOTIONS, SHAPES, Object, Scene, scene

GROUND = np.array(image.GROUND)


def lit(pixels):
    """Where something lies on the ground."""
    return np.abs(pixels.astype(int) - GROUND).max(axis=2) > 60


def decoded_png(tmp_path, drawn):
    (tmp_path / "x.png").write_bytes(image.png(drawn))
    return np.asarray(load_image(tmp_path / "x.png"))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_picture_has_the_colour_in_its_cell_and_nowhere_else(tmp_path, shape, colour):
    for cell in (0, 5, 7):
        obj = Object(shape, colour, "large", cell)
        pixels = decoded_png(tmp_path, Scene((obj,), ()))
        assert pixels.shape == (image.EDGE, image.EDGE, 3)
        row, column = divmod(cell, 3)
        inside = np.zeros(pixels.shape[:2], bool)
        inside[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = True
        found = lit(pixels)
        assert found.any() and not (found & ~inside).any()
        brightest = np.median(pixels[found], axis=0)
        assert min(COLOURS, key=lambda c: np.abs(brightest - image.RGB[c]).sum()) == colour


def test_shapes_differ_and_sizes_show():
    area = {}
    for shape in SHAPES:
        for size in ("small", "large"):
            drawn = np.asarray(image.draw(Scene((Object(shape, "white", size, 4),), ())))
            area[shape, size] = lit(drawn)
        assert area[shape, "large"].sum() > 2 * area[shape, "small"].sum()
    for a in SHAPES:
        for b in SHAPES:
            if a != b:
                differing = (area[a, "large"] ^ area[b, "large"]).sum()
                assert differing > 0.1 * max(area[a, "large"].sum(), area[b, "large"].sum()), (a, b)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("motion", MOTIONS)
def test_clip_moves_as_the_scene_says_and_stays_in_the_cell(tmp_path, motion, size):
    (tmp_path / "x.mp4").write_bytes(image.mp4(Scene((Object("star", "yellow", size, 4, motion),), (), True)))
    frames = [np.asarray(frame) for frame in load_video(tmp_path / "x.mp4")]
    assert len(frames) == image.FRAMES and frames[0].shape == (96, 96, 3)
    centroids = [np.argwhere(lit(frame)).mean(axis=0) for frame in frames]
    dy, dx = (centroids[-1] - centroids[0]).round()
    expected = np.array(image.STEP[motion]) * 2 * image.REACH[size]
    assert np.allclose((dx, dy), expected, atol=1)
    for frame in frames:
        outside = lit(frame)
        outside[31:65, 31:65] = False
        assert not outside.any()


def test_many_objects_never_overlap():
    for seed in range(40):
        drawn = scene(Random(seed), objects=4, video=True)
        for time in (-1.0, 1.0):
            together = lit(np.asarray(image.draw(drawn, time))).sum()
            alone = sum(
                lit(np.asarray(image.draw(Scene((obj,), (), True), time))).sum() for obj in drawn.objects
            )
            assert together == alone


def test_same_scene_same_bytes():
    drawn = scene(Random(3), objects=3, video=True)
    assert image.png(drawn) == image.png(drawn)
    assert image.mp4(drawn) == image.mp4(drawn)


def test_every_cell_is_named():
    assert len(CELLS) == (image.EDGE // image.CELL) ** 2


def test_a_clip_has_the_same_bytes_each_time() -> None:
    """The encoder's defaults gave some clips other bytes now and then."""
    clips = [scene(Random(seed), video=True) for seed in range(60)]
    assert all(len({image.mp4(clip) for _ in range(6)}) == 1 for clip in clips)
