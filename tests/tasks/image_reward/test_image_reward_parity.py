"""ImageReward's numbers from recorded scores: our whole pipeline against the published arithmetic.

Facts: test-benchmark.py of THUDM/ImageReward (the mean over prompts of the mean over a prompt's images
`{id}_{k}.png`, as many a prompt as there are files for one, rounded down; a file that is not there ends the
script) and align-anything's ImageRewardDB/eval.py (one image a prompt, a missing file is 0.0, the mean).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from image_lab import images, scored, values

PROMPTS = [f"{i // 7:06d}-{i % 7:04d}" for i in range(25)]
REPEATS = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ImageReward")
    rows = [{"id": name, "prompt": f"prompt of {name}"} for name in PROMPTS]
    for file in ("benchmark/benchmark-prompts.json", "data/test.json"):
        (folder / file).parent.mkdir()
        (folder / file).write_text(json.dumps(rows))
    return folder


def recorded(seed: int) -> dict[str, list[float]]:
    rng = Random(seed)
    return {name: [rng.gauss(0, 1) for _ in range(REPEATS)] for name in PROMPTS}


def there(seed: int) -> dict[str, list[int]]:
    """Which images of each prompt exist: some prompts lack some, one lacks all."""
    rng = Random(seed)
    found = {name: [k for k in range(REPEATS) if rng.random() > 0.2] for name in PROMPTS}
    return {**found, PROMPTS[3]: []}


def published(scores: Mapping[str, list[float]], files: set[str]) -> float:
    """As the script has it, for files that it does not stumble over."""
    images_each = len(files) // len(PROMPTS)
    means = []
    for name in PROMPTS:
        assert all(f"{name}_{k}.png" in files for k in range(images_each))
        means.append(fmean(scores[name][k] for k in range(images_each)))
    return fmean(means)


def test_all_images_there(tmp_path: Path, data: Path) -> None:
    scores = recorded(1)
    names = [f"{name}_{k}" for name in PROMPTS for k in range(REPEATS)]
    folder = images(tmp_path / "images", names, ".png")
    expected = published(scores, {file.name for file in folder.iterdir()})
    for profile in ("original", "corrected"):
        out = tmp_path / profile
        result = scored(
            "image_reward", out, data, f"replay/{folder}", scores, profile=profile, repeats=REPEATS
        )
        assert values(result) == pytest.approx({"ImageReward": expected}, abs=1e-9)
        assert (result.headline.n, result.headline.n_scored) == (100, 100)
        assert result.headline.low is not None
        assert result.headline.low < expected


def test_images_that_are_not_there_do_not_pull_their_prompt(tmp_path: Path, data: Path) -> None:
    """The published script ends; the numbers are those of the images that each prompt has."""
    scores, kept = recorded(2), there(2)
    folder = images(tmp_path / "images", (f"{name}_{k}" for name in kept for k in kept[name]), ".png")
    result = scored("image_reward", tmp_path / "run", data, f"replay/{folder}", scores, repeats=REPEATS)
    means = [fmean(scores[name][k] for k in ks) for name, ks in kept.items() if ks]
    assert len({len(ks) for ks in kept.values()}) > 2, "a plain mean over images would be another number"
    assert values(result) == pytest.approx({"ImageReward": fmean(means)}, abs=1e-9)
    absent = sum(REPEATS - len(ks) for ks in kept.values())
    assert (result.headline.n_missing, result.headline.n_stand_in) == ({"no_response": absent}, 0)


def test_align_anything_counts_missing_images_as_zero(tmp_path: Path, data: Path) -> None:
    scores, kept = recorded(3), there(3)
    names = [name for name in PROMPTS if 0 in kept[name]]
    folder = images(tmp_path / "images", names, ".jpg")
    expected = sum(scores[name][0] if name in names else 0.0 for name in PROMPTS) / len(PROMPTS)
    result = scored(
        "image_reward", tmp_path / "run", data, f"replay/{folder}", scores, profile="align-anything"
    )
    assert values(result) == pytest.approx({"ImageReward": expected}, abs=1e-9)
    headline, absent = result.headline, len(PROMPTS) - len(names)
    assert (headline.n_missing, headline.n_stand_in) == ({"no_response": absent}, absent)


def test_by_hand(tmp_path: Path, data: Path) -> None:
    """Two prompts with images: (1 + 3) / 2 and -2; the mean of the two is 0, that of three images 0.667."""
    first, second = PROMPTS[:2]
    scores: dict[str, list[float | None]] = {name: [9.0, 9.0] for name in PROMPTS}
    scores[first], scores[second] = [1.0, 3.0], [-2.0, None]
    folder = images(tmp_path / "images", (f"{first}_0", f"{first}_1", f"{second}_0"), ".png")
    options = {"repeats": 2, "limit": 2}
    result = scored("image_reward", tmp_path / "run", data, f"replay/{folder}", scores, **options)
    assert values(result) == {"ImageReward": 0}
    aligned = scored(
        "image_reward",
        tmp_path / "aligned",
        data,
        f"replay/{folder}",
        scores,
        profile="align-anything",
        limit=2,
    )
    assert values(aligned) == {"ImageReward": -0.5}
