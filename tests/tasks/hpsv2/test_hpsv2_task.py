"""HPSv2 as a task: what is asked, what an answer without an image is, who scores, offline runs, the card."""

import json
from pathlib import Path
from typing import Any

import pytest
from image_lab import images, scored, values
from tiny_rewards import hpsv2 as tiny_hpsv2

import eval_anything
from eval_anything.cli.main import main
from eval_anything.errors import UsageError
from eval_anything.options import parse
from eval_anything.protocol import PROFILES
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ScoreRow
from eval_anything.task import DataSource
from eval_anything.tasks.hpsv2.data import STYLES
from eval_anything.tasks.hpsv2.task import HPSv2
from eval_anything.values import Artifact, Image, Response, Text

PICTURE = Image(Artifact(sha256="0" * 64, mime="image/png", bytes_size=1))


def made(profile: str = "corrected") -> HPSv2:
    return HPSv2(parse(HPSv2.Options, {"profile": profile}, "-T"))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hpsv2") / "twin"
    HPSv2.write_synthetic(folder, 8, 3)
    return folder


def test_one_sample_a_prompt_by_style(twin: Path) -> None:
    task = made()
    dataset = task.open(DataSource(kind="path", path=twin))
    samples = list(task.samples(dataset))
    assert [s.id for s in samples] == [f"{style}/{i:05d}" for style in STYLES for i in (0, 1)]
    assert [s.group for s in samples] == [style for style in STYLES for _ in (0, 1)]
    texts = [s.messages[0].parts for s in samples]
    listed = [json.loads((twin / f"benchmark/{style}.json").read_text()) for style in STYLES]
    assert texts == [(Text(prompt),) for prompts in listed for prompt in prompts]
    assert (task.inputs, task.outputs, task.required) == (("text",), ("image",), ("image",))


@pytest.mark.parametrize(
    ("profile", "value"), [("corrected", None), ("original", None), ("align-anything", 0.0)]
)
def test_an_answer_without_an_image_is_missing_and_counts_as_the_profile_says(
    twin: Path, profile: str, value: float | None
) -> None:
    task = made(profile)
    sample = next(task.samples(task.open(DataSource(kind="path", path=twin))))
    for response in (Response(), Response(parts=(Text("I would draw it so."),))):
        settled = task.settled(sample, response)
        assert settled is not None
        assert (settled.value, settled.state, settled.reason) == (
            value,
            "no_response",
            "no image in the answer",
        )
    assert task.settled(sample, Response(parts=(Text("Here:"), PICTURE))) is None
    failed = task.settled(sample, Response(parts=(Text("Here:"),), selected=("image",)))
    assert failed is not None
    assert (failed.value, failed.reason) == (None, "the tool made no image"), "an outage is nobody's zero"


def test_the_profile_chooses_the_checkpoint_and_says_what_differs() -> None:
    options = {profile: made(profile).judge_options for profile in PROFILES}
    versions = {profile: given["version"] for profile, given in options.items()}
    assert versions == {"corrected": "v2.1", "original": "v2.1", "align-anything": "v2.0"}
    assert {made(profile).protocol_judge for profile in PROFILES} == {"hpsv2"}
    identities = [json.dumps(made(profile).identity(), sort_keys=True) for profile in PROFILES]
    assert len(set(identities)) == 3, "a number of one profile never passes for one of another"


@pytest.mark.parametrize(("profile", "version"), [("original", "v2.1"), ("align-anything", "v2.0")])
def test_scored_by_the_checkpoint_of_the_profile(
    tmp_path: Path, twin: Path, profile: str, version: str
) -> None:
    """Tiny checkpoints of random weights, in the published layout, through the real judge."""
    from eval_anything.judges.images import reward

    for number in ("2", "2.1"):
        tiny_hpsv2(tmp_path / "model", version=number)
    names = [f"{style}/00000" for style in STYLES]
    folder = images(tmp_path / "images", names, ".jpg")
    result = eval_anything.evaluate(
        model=f"replay/{folder}",
        tasks=["hpsv2"],
        data=twin,
        profile=profile,
        judge_options={"model": str(tmp_path / "model"), "device": "cpu"},
        out=tmp_path / "run",
    ).tasks[0]
    prompts = [json.loads((twin / f"benchmark/{style}.json").read_text())[0] for style in STYLES]
    scorer = reward("hpsv2", model=str(tmp_path / "model"), version=version, device="cpu")
    expected = scorer.score(prompts, [folder / f"{name}.jpg" for name in names])
    rows = [row for row in read_rows(tmp_path / "run" / "journal.jsonl") if isinstance(row, ScoreRow)]
    found = {row.id: row.score.value for row in rows if row.score.state == "scored"}
    assert found == pytest.approx(dict(zip(names, expected, strict=True)), abs=1e-4)
    assert len({round(value, 3) for value in expected}) > 1
    zeros = 4 if profile == "align-anything" else 0
    assert result.headline.value == pytest.approx(sum(expected) / (4 + zeros), abs=1e-4)
    assert (result.judge, result.headline.n_stand_in) == ("hpsv2", zeros)


def run(out: Path, **options: Any) -> Any:
    values = {"tasks": ["hpsv2"], "data": "synthetic:n=8,seed=1", "out": out, **options}
    return eval_anything.evaluate(**values).tasks[0]


@pytest.mark.parametrize("profile", PROFILES)
def test_offline_who_makes_what_was_asked_for_scores_far_above_who_does_not(
    tmp_path: Path, profile: str
) -> None:
    """fake/echo hands the prompt on to the generator of scenes; the other asks for one picture always."""
    options: dict[str, Any] = {"agent": "text-protocol", "profile": profile}
    knows = run(tmp_path / "knows", model="fake/echo", **options)
    same = "[[response]]: here\n[[image_instruction]]: a small white ring in the middle\n"
    guesses = run(tmp_path / "guesses", model="fake/constant", model_options={"reply": same}, **options)
    assert knows.judge == guesses.judge == "scene"
    assert knows.headline.value == 100
    assert guesses.headline.n_scored == 8
    assert guesses.headline.value < 60


def test_limit_and_a_mask_of_what_is_not_asked_for(tmp_path: Path) -> None:
    result = run(tmp_path / "run", model="fake/echo", agent="text-protocol", limit=3, mask=("image", "audio"))
    assert (result.headline.n, result.headline.n_scored, result.headline.value) == (3, 3, 100)


def test_recorded_answers_of_any_kind(tmp_path: Path, twin: Path) -> None:
    """A refusal, a failure, words in place of an image, an image cut short, and one whole."""
    folder = images(tmp_path / "media", ["a"], ".png")
    picture = {"type": "image", "path": "a.png"}
    rows = [
        {"id": "anime/00000", "parts": [picture]},
        {"id": "anime/00001", "parts": [picture], "state": "truncated"},
        {"id": "concept-art/00000", "response": "I would rather describe it."},
        {"id": "concept-art/00001", "response": "", "state": "refused"},
        {"id": "photo/00000", "state": "error", "response": None},
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = {"anime/00000": [30.0], "anime/00001": [20.0]}
    model = f"replay/{folder / 'answers.jsonl'}"
    options: dict[str, Any] = {"error_budget": 1.0}
    plain = scored("hpsv2", tmp_path / "plain", twin, model, scores, **options)
    assert plain.headline.value == 25
    assert plain.headline.n_missing == {"no_response": 5, "refused": 1}
    aligned = scored("hpsv2", tmp_path / "aligned", twin, model, scores, profile="align-anything", **options)
    assert (aligned.headline.value, aligned.headline.n_stand_in) == (pytest.approx(50 / 3), 1)
    assert values(aligned)["concept-art"] == 0
    zeros = scored(
        "hpsv2", tmp_path / "zeros", twin, model, scores, profile="align-anything", missing="zero", **options
    )
    assert zeros.headline.value == pytest.approx(50 / 4), "the refusal too"


def test_there_are_no_prompts_to_replace(tmp_path: Path) -> None:
    (tmp_path / "system.md").write_text("Rate it.")
    with pytest.raises(UsageError, match="task hpsv2 has no prompts that could be replaced"):
        HPSv2(HPSv2.Options(), tmp_path)


def test_show_lists_profiles_differences_card_and_published_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["show", "hpsv2"]) == 0
    shown = capsys.readouterr().out
    for fact in (
        "groups-of-80 (original)",
        "missing-is-zero (align-anything)",
        "judge_options: corrected {'version': 'v2.1'}",
        "HPSv2, README, v2.1 benchmark (published; scale 0 to 100; profile original)",
        "replay/DIR",
    ):
        assert fact in shown, fact
    assert main(["show", "hpsv2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metrics"] == ["HPSv2", *STYLES]
    assert {d["name"] for d in facts["profiles"]["differences"]} >= {"groups-of-80", "version", "refusals"}
    sdxl = [r for r in facts["reported"] if r["model"] == "SDXL Base 0.9" and r["metric"] == "HPSv2"]
    assert {r["value"] for r in sdxl} == {30.63, 27.73}
