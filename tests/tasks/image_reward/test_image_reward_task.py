"""ImageReward as a task: what is asked in each profile, who scores, offline runs, the card."""

import json
from pathlib import Path
from typing import Any

import pytest
from image_lab import images
from tiny_rewards import image_reward as tiny_image_reward

import eval_anything
from eval_anything.cli.main import main
from eval_anything.options import parse
from eval_anything.protocol import PROFILES
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ScoreRow
from eval_anything.task import DataSource
from eval_anything.tasks.image_reward.task import ImageReward
from eval_anything.values import Artifact, Image, Response, Text

PICTURE = Image(Artifact(sha256="0" * 64, mime="image/png", bytes_size=1))


def made(profile: str = "corrected") -> ImageReward:
    return ImageReward(parse(ImageReward.Options, {"profile": profile}, "-T"))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image_reward") / "twin"
    ImageReward.write_synthetic(folder, 6, 3)
    return folder


@pytest.mark.parametrize(
    ("profile", "file"),
    [
        ("corrected", "benchmark/benchmark-prompts.json"),
        ("original", "benchmark/benchmark-prompts.json"),
        ("align-anything", "data/test.json"),
    ],
)
def test_the_profile_chooses_the_prompts(twin: Path, profile: str, file: str) -> None:
    task = made(profile)
    dataset = task.open(DataSource(kind="path", path=twin))
    rows = json.loads((twin / file).read_text())
    assert dataset.size == 6
    assert [(s.id, s.messages[0].parts) for s in task.samples(dataset)] == [
        (row["id"], (Text(row["prompt"]),)) for row in rows
    ]


@pytest.mark.parametrize(
    ("profile", "value"), [("corrected", None), ("original", None), ("align-anything", 0.0)]
)
def test_an_answer_without_an_image_is_missing_and_counts_as_the_profile_says(
    twin: Path, profile: str, value: float | None
) -> None:
    task = made(profile)
    sample = next(task.samples(task.open(DataSource(kind="path", path=twin))))
    settled = task.settled(sample, Response(parts=(Text("words"),)))
    assert settled is not None
    assert (settled.value, settled.state) == (value, "no_response")
    assert task.settled(sample, Response(parts=(PICTURE,))) is None


def test_scored_by_the_reward_model(tmp_path: Path, twin: Path) -> None:
    """A tiny checkpoint of random weights, in the published layout, through the real judge."""
    from eval_anything.judges.images import reward

    model = str(tiny_image_reward(tmp_path / "model"))
    rows = json.loads((twin / "benchmark/benchmark-prompts.json").read_text())
    folder = images(tmp_path / "images", (f"{row['id']}_{k}" for row in rows for k in (0, 1)), ".png")
    result = eval_anything.evaluate(
        model=f"replay/{folder}",
        tasks=["image_reward"],
        data=twin,
        repeats=2,
        judge_options={"model": model, "device": "cpu"},
        out=tmp_path / "run",
    ).tasks[0]
    scorer = reward("image_reward", model=model, device="cpu")
    files = [folder / f"{row['id']}_0.png" for row in rows]
    expected = scorer.score([row["prompt"] for row in rows], files)
    scored = [row for row in read_rows(tmp_path / "run" / "journal.jsonl") if isinstance(row, ScoreRow)]
    found = {row.id: row.score.value for row in scored}
    assert found == pytest.approx({row["id"]: e for row, e in zip(rows, expected, strict=True)}, abs=1e-4)
    assert result.headline.value == pytest.approx(sum(expected) / 6, abs=1e-4)
    assert (result.judge, result.headline.n_scored) == ("image_reward", 12)


def run(out: Path, **options: Any) -> Any:
    values = {"tasks": ["image_reward"], "data": "synthetic:n=8,seed=1", "out": out, **options}
    return eval_anything.evaluate(**values).tasks[0]


@pytest.mark.parametrize("profile", PROFILES)
def test_offline_who_makes_what_was_asked_for_scores_far_above_who_does_not(
    tmp_path: Path, profile: str
) -> None:
    options: dict[str, Any] = {"agent": "text-protocol", "profile": profile}
    knows = run(tmp_path / "knows", model="fake/echo", **options)
    same = "[[response]]: here\n[[image_instruction]]: a small white ring in the middle\n"
    guesses = run(tmp_path / "guesses", model="fake/constant", model_options={"reply": same}, **options)
    assert knows.judge == guesses.judge == "scene"
    assert knows.headline.value == 2
    assert guesses.headline.n_scored == 8
    assert guesses.headline.value < 0


def test_several_images_a_prompt_are_repeats_and_limits_hold(tmp_path: Path) -> None:
    result = run(tmp_path / "run", model="fake/echo", agent="text-protocol", limit=3, repeats=2)
    assert (result.headline.n, result.headline.n_scored, result.headline.value) == (6, 6, 2)


def test_show_lists_profiles_differences_card_and_published_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["show", "image_reward"]) == 0
    shown = capsys.readouterr().out
    for fact in (
        "missing-is-average (align-anything)",
        "test-prompts (align-anything)",
        "no_medium: corrected None; original None; align-anything 0.0",
        "Table 2 (presumed; scale open to open; profile align-anything)",
        "DIR/005695-0057_3.png",
    ):
        assert fact in shown, fact
    assert main(["show", "image_reward", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metrics"] == ["ImageReward"]
    assert len(facts["reported"]) == 5
