from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.synth.scene import CELLS, GRID, MAX_OBJECTS, MAX_SOUNDS, Scene, draw_objects, scene


@given(st.integers(0, 10_000), st.integers(1, MAX_OBJECTS), st.integers(1, MAX_SOUNDS), st.booleans())
def test_scene_has_the_counts_asked_for_and_nothing_ambiguous(seed, objects, sounds, video):
    drawn = scene(Random(seed), objects=objects, sounds=sounds, video=video)
    assert (len(drawn.objects), len(drawn.sounds), drawn.video) == (objects, sounds, video)
    cells = [obj.cell for obj in drawn.objects]
    assert cells == sorted(set(cells)) and all(0 <= cell < len(CELLS) for cell in cells)
    assert len({(obj.shape, obj.colour) for obj in drawn.objects}) == objects
    assert len({sound.timbre for sound in drawn.sounds}) <= 2
    assert video or all(obj.motion == "still" for obj in drawn.objects)


def test_same_seed_same_scene_and_other_seed_another():
    assert scene(Random(5)) == scene(Random(5))
    assert len({msgspec.json.encode(scene(Random(seed))) for seed in range(50)}) == 50


def test_scene_survives_json_and_rejects_what_is_not_in_the_vocabulary():
    drawn = scene(Random(1), video=True)
    text = msgspec.json.encode(drawn)
    assert msgspec.json.decode(text, type=Scene) == drawn
    with pytest.raises(msgspec.ValidationError, match="shape"):
        msgspec.json.decode(text.replace(drawn.objects[0].shape.encode(), b"blob"), type=Scene)


@given(st.integers(0, 1000), st.integers(1, GRID))
def test_one_per_column_goes_from_left_to_right(seed, n):
    columns = [obj.cell % GRID for obj in draw_objects(Random(seed), n, one_per_column=True)]
    assert columns == sorted(set(columns))
