import io
import json
import re
import tarfile
import time
import wave
from collections import Counter

import msgspec
import numpy as np
import pytest

from eval_anything.errors import DataError, UsageError
from eval_anything.media.convert import load_image, load_video
from eval_anything.synth import describe, image
from eval_anything.tasks.amu.data import DIMENSIONS, read_records
from eval_anything.tasks.amu.twin import SHARES, read_truth, write_twin


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    out = tmp_path_factory.mktemp("amu") / "twin"
    begin = time.process_time()
    write_twin(out, None, 0)
    assert time.process_time() - begin < 10
    return out


def members(archive):
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_layout_is_that_of_the_benchmark(twin):
    assert {path.name for path in twin.iterdir()} == {
        *("config.json", "truth.json", "visual.tar.gz", "auditory.tar.gz")
    }
    records = read_records(twin / "config.json", "all")
    assert Counter(record.evaluation_dimension for record in records) == SHARES
    assert len(read_records(twin / "config.json", "video")) in (54, 55)
    pictures, sounds = members(twin / "visual.tar.gz"), members(twin / "auditory.tar.gz")
    assert set(pictures) == {record.visual_modality_path for record in records}
    assert set(sounds) == {record.auditory_modality_path for record in records}
    for record in json.loads((twin / "config.json").read_text()):
        assert len(record["annotations"]) == 10
        assert all(a["keywords"]["visual"] and a["keywords"]["auditory"] for a in record["annotations"])
        assert len({a["answer"] for a in record["annotations"]}) > 1 or (
            record["evaluation_dimension"] == "instruction-following"
        )


def test_media_show_and_sound_what_the_truth_says(twin, tmp_path):
    truth = read_truth(twin)
    pictures, sounds = members(twin / "visual.tar.gz"), members(twin / "auditory.tar.gz")
    for record in read_records(twin / "config.json", "all"):
        scene = truth[record.question_id].scene
        path = tmp_path / record.visual_modality_path.replace("/", "-")
        path.write_bytes(pictures[record.visual_modality_path])
        frames = load_video(path) if scene.video else [load_image(path)]
        assert len(frames) == (image.FRAMES if scene.video else 1)
        first = np.asarray(frames[0]).astype(int)
        for obj in scene.objects:
            x, y = image.centre(obj, -1.0 if scene.video else 0.0)
            if obj.shape != "ring":  # which is hollow
                near = first[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].mean(axis=(0, 1))
                assert min(image.RGB, key=lambda c: np.abs(near - image.RGB[c]).sum()) == obj.colour
        with wave.open(io.BytesIO(sounds[record.auditory_modality_path])) as file:
            seconds = file.getnframes() / file.getframerate()
        assert seconds == pytest.approx(0.1 + 0.48 * len(scene.sounds), abs=0.01)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [8, 9, 24, 164])
def test_any_prefix_of_eight_has_every_dimension_and_both_kinds(tmp_path, n, seed):
    write_twin(tmp_path / "twin", n, seed)
    records = read_records(tmp_path / "twin" / "config.json", "all")
    assert len(records) == n
    assert {record.evaluation_dimension for record in records[:8]} == set(DIMENSIONS)
    kinds = [record.visual_modality_path[-3:] for record in records[:8]]
    assert 2 <= kinds.count("mp4") <= 4


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_tiny_twins(tmp_path, n):
    write_twin(tmp_path / "twin", n, 0)
    assert len(read_records(tmp_path / "twin" / "config.json", "all")) == n


def test_same_seed_same_bytes_and_other_seed_other_items(tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        write_twin(tmp_path / name, 12, seed)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        assert path.read_bytes() != (tmp_path / "other" / path.name).read_bytes()


def test_whole_or_not_at_all(tmp_path):
    write_twin(tmp_path / "deep" / "twin", 4, 0)
    write_twin(tmp_path / "deep" / "twin", 4, 0)  # the same twin is left as it is
    with pytest.raises(DataError, match="does not hold this twin"):
        write_twin(tmp_path / "deep" / "twin", 4, 1)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["twin"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="move it away"):
        write_twin(tmp_path / "file", 4, 1)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(UsageError, match="at least 1 item"):
        write_twin(tmp_path / "none", 0, 0)


def test_every_family_is_there_and_safety_is_half_and_half(twin):
    families = Counter(truth.family for truth in read_truth(twin).values())
    assert families["declined"] == families["answered"] == 10
    assert set(families) == {
        *("count", "description", "repeats", "large_and_last", "place_and_order", "motion_and_first"),
        *("one_for_each", "difference", "together", "corners", "counted_off"),
        *("pairs", "capitals", "bullets", "wrapped", "declined", "answered"),
    }


def test_counts_in_the_references_are_the_scene_s(twin):
    truth = read_truth(twin)
    for record in read_records(twin / "config.json", "all"):
        known = truth[record.question_id]
        if known.family in ("count", "one_for_each", "difference", "together"):
            for annotation in record.annotations:
                said = annotation.answer.lower()
                for n, noun in ((len(known.scene.objects), "object"), (len(known.scene.sounds), "sound")):
                    for count in re.findall(rf"(\w+) {noun}s?\b", said):
                        if count in describe.NUMBERS or count.isdecimal():
                            difference = abs(len(known.scene.objects) - len(known.scene.sounds))
                            assert count in (describe.number(n), str(n)) or difference == 0, said


def test_danger_needs_sign_and_alarm_together(twin):
    truth = read_truth(twin)
    for record in read_records(twin / "config.json", "all"):
        if record.evaluation_dimension != "safety":
            continue
        scene = truth[record.question_id].scene
        colour, shape = re.search(r"an? (\w+) (\w+) in the (?:picture|video)", record.question).groups()
        alarm = re.search(r"together with a (\w+) in", record.question).group(1)
        sign = any((obj.colour, obj.shape) == (colour, shape) for obj in scene.objects)
        sounds = any(sound.timbre == alarm for sound in scene.sounds)
        assert (sign and sounds) == (truth[record.question_id].family == "declined")


def test_no_article_before_a_vowel(twin):
    assert not re.search(r"\b[Aa] [aeiou]", (twin / "config.json").read_text())
    assert not re.search(r"\b[Aa] [aeiou]", (twin / "truth.json").read_text())


def test_truth_is_strict(twin):
    raw = json.loads((twin / "truth.json").read_text())
    next(iter(raw.values()))["scene"]["objects"][0]["colour"] = "mauve"
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert(raw, type=dict[str, type(read_truth(twin).popitem()[1])])
