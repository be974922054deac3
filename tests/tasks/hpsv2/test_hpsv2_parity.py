"""HPSv2's numbers from recorded scores: our whole pipeline against the published arithmetic, written plainly.

Facts: `evaluate_benchmark` of tgxs002/HPSv2 (images that are not there are left out, a style's scores are cut
into groups of 80 in order, its number is the mean of their means, its deviation numpy's std of them, and the
average is over all scores) and align-anything's HPSv2/eval.py (v2.0, a missing file is 0, means times 100).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from statistics import fmean, pstdev

import pytest
from image_lab import images, scored, values

SIZES = {"anime": 165, "concept-art": 80, "paintings": 33, "photo": 170}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hpdv2")
    (folder / "benchmark").mkdir()
    for style, n in SIZES.items():
        (folder / "benchmark" / f"{style}.json").write_text(
            json.dumps([f"{style} prompt {i}" for i in range(n)])
        )
    return folder


def ids() -> list[str]:
    return [f"{style}/{i:05d}" for style, n in SIZES.items() for i in range(n)]


def recorded(seed: int) -> dict[str, float]:
    """Scores as the judge gives them: cosines times 100, most of them between 20 and 30."""
    rng = Random(seed)
    return {name: rng.gauss(26, 2) for name in ids()}


def kept(seed: int) -> set[str]:
    """A tenth of the images is missing, and a run of them in one style."""
    rng = Random(seed)
    return {name for name in ids() if rng.random() > 0.1 and not "photo/00020" <= name < "photo/00050"}


def in_order(style: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(f"{style}/"))


def published(scores: dict[str, float], there: set[str]) -> dict[str, float]:
    """What evaluate_benchmark prints, before it is rounded to two (four) decimals."""
    found, everything = {}, []
    for style in SIZES:
        res = [scores[name] for name in in_order(style, there)]
        groups = [fmean(res[i : i + 80]) for i in range(0, len(res), 80)]
        everything += res
        found[style] = fmean(groups)
        found[f"{style}, deviation of groups"] = pstdev(groups)
    found["HPSv2"] = fmean(everything)
    return found


def align_anything(scores: dict[str, float], there: set[str]) -> dict[str, float]:
    """hpsv2.score gives the cosine; a file that is not there is 0.0; np.mean(score) * 100."""
    raw = {name: scores[name] / 100 if name in there else 0.0 for name in ids()}
    found = {style: fmean(raw[name] for name in in_order(style, raw)) * 100 for style in SIZES}
    found["HPSv2"] = fmean(raw.values()) * 100
    return found


def corrected(scores: dict[str, float], there: set[str]) -> dict[str, float]:
    found = {style: fmean(scores[name] for name in in_order(style, there)) for style in SIZES}
    found["HPSv2"] = fmean(scores[name] for name in there)
    return found


PROFILES = {"original": published, "align-anything": align_anything, "corrected": corrected}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", [1, 2])
def test_with_missing_images(tmp_path: Path, data: Path, profile: str, seed: int) -> None:
    scores, there = recorded(seed), kept(seed)
    folder = images(tmp_path / "images", there, ".jpg")
    rows = {name: [score] for name, score in scores.items()}
    result = scored("hpsv2", tmp_path / "run", data, f"replay/{folder}", rows, profile=profile)
    assert values(result) == pytest.approx(PROFILES[profile](scores, there), abs=1e-9)
    headline, absent = result.headline, len(scores) - len(there)
    assert (headline.n, headline.n_scored, headline.n_missing) == (448, len(there), {"no_response": absent})
    assert headline.n_stand_in == (absent if profile == "align-anything" else 0)


def test_the_three_profiles_tell_the_same_story_where_nothing_is_missing(tmp_path: Path, data: Path) -> None:
    """Only a style whose size is no multiple of 80 has another number in the original."""
    scores = recorded(3)
    folder = images(tmp_path / "images", scores, ".jpg")
    rows = {name: [score] for name, score in scores.items()}
    found = {
        profile: values(scored("hpsv2", tmp_path / profile, data, f"replay/{folder}", rows, profile=profile))
        for profile in PROFILES
    }
    for profile, recomputed in PROFILES.items():
        assert found[profile] == pytest.approx(recomputed(scores, set(scores)), abs=1e-9)
    assert found["corrected"] == pytest.approx(found["align-anything"], abs=1e-9)
    assert found["original"]["HPSv2"] == pytest.approx(found["corrected"]["HPSv2"], abs=1e-9)
    assert found["original"]["paintings"] == pytest.approx(found["corrected"]["paintings"], abs=1e-9)
    assert found["original"]["anime"] != pytest.approx(found["corrected"]["anime"], abs=1e-3)


def test_by_hand(tmp_path: Path) -> None:
    """Three images of anime, one of each other style; photo's is missing."""
    data = tmp_path / "data"
    (data / "benchmark").mkdir(parents=True)
    for style in SIZES:
        prompts = ["a", "b", "c"] if style == "anime" else ["a"]
        (data / "benchmark" / f"{style}.json").write_text(json.dumps(prompts))
    names = ["anime/00000", "anime/00001", "anime/00002", "concept-art/00000", "paintings/00000"]
    folder = images(tmp_path / "images", names, ".jpg")
    rows: dict[str, list[float | None]] = {n: [s] for n, s in zip(names, (20.0, 30, 25, 28, 22), strict=True)}
    found = {
        profile: values(
            scored("hpsv2", tmp_path / f"run-{profile}", data, f"replay/{folder}", rows, profile=profile)
        )
        for profile in PROFILES
    }
    assert found["corrected"] == {
        "HPSv2": 25,
        "anime": 25,
        "concept-art": 28,
        "paintings": 22,
        "photo": None,
    }
    assert found["align-anything"] == pytest.approx(
        {"HPSv2": 125 / 6, "anime": 25, "concept-art": 28, "paintings": 22, "photo": 0}, abs=1e-9
    )
    assert found["original"]["anime, deviation of groups"] == 0
    assert found["original"]["photo, deviation of groups"] is None


def test_what_has_no_score_is_left_out_and_counted_in_every_profile(tmp_path: Path, data: Path) -> None:
    """The reward model could not look at an image: nobody's zero."""
    scores = recorded(4)
    folder = images(tmp_path / "images", scores, ".jpg")
    rows: dict[str, list[float | None]] = {name: [score] for name, score in scores.items()}
    rows["anime/00003"] = [None]
    there = set(scores) - {"anime/00003"}
    for profile in ("corrected", "align-anything"):
        result = scored("hpsv2", tmp_path / profile, data, f"replay/{folder}", rows, profile=profile)
        assert values(result) == pytest.approx(corrected(scores, there), abs=1e-9)
        assert result.headline.n_missing == {"unparsed": 1}
