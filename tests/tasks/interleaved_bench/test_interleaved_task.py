"""InterleavedBench: what is asked, the twin, answerers with and without knowledge, and agents at work."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eval_anything
from eval_anything.errors import DataError
from eval_anything.media.convert import load_image
from eval_anything.results.values import TaskResult
from eval_anything.synth import describe, image
from eval_anything.synth.scene import Scene
from eval_anything.task import DataSource
from eval_anything.tasks.interleaved_bench.task import InterleavedBench, InterleavedBenchOptions
from eval_anything.tasks.interleaved_bench.twin import Truth, read_truth, write_twin
from eval_anything.values import File, Message, Response, Sample, Text

ASPECTS = ("text_quality", "perceptual_quality", "image_coherence", "text_image_coherence", "helpfulness")
Answerer = Callable[[Truth], tuple[list[str], list[Scene]]]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interleaved") / "twin"
    write_twin(folder, 20, 3)
    return folder


def values(result: TaskResult) -> dict[str, float]:
    return {metric.name: metric.value for metric in result.metrics if metric.value is not None}


def by_agent(twin: Path, out: Path, document: bool = True, **options: Any) -> TaskResult:
    """The text-protocol agent on recorded replies that know the truth: all slots in turn, or each once."""
    out.mkdir()
    rows = []
    for sample, truth in read_truth(twin).items():
        said = truth.text.splitlines() or [""]
        drawn = [describe.objects_phrase(scene) for scene in truth.scenes]
        pairs = list(zip(said, drawn, strict=True)) if document else [(" ".join(said), drawn[0])]
        lines = [f"[[response]]: {text or 'None'}\n[[image_instruction]]: {what}" for text, what in pairs]
        rows.append({"id": sample, "response": "\n".join(lines)})
    (out / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return eval_anything.evaluate(
        model=f"replay/{out / 'answers.jsonl'}",
        tasks=["interleaved_bench"],
        data=str(twin),
        judge="scene",
        agent="text-protocol",
        agent_options={"image": "synthetic/scene"},
        out=out / "run",
        **options,
    ).tasks[0]


def test_prompts_hold_pictures_where_they_belong(twin: Path) -> None:
    task = InterleavedBench(InterleavedBenchOptions())
    dataset = task.open(DataSource(kind="path", path=twin))
    samples = {sample.id: sample for sample in task.samples(dataset)}
    assert len(samples) == dataset.size == 20
    step = samples["wikihow_next_step_0"]
    kinds = [type(part) for part in step.messages[0].parts]
    assert kinds == [Text, File, Text, File, Text]
    assert step.group == "wikihow_next_step"
    assert step.references[0].text.startswith("Step 3: ")
    report = samples["report_generation_1"]
    assert [type(part) for part in report.messages[0].parts] == [Text]
    edit = samples["image_editing_2"]
    assert (edit.metadata, edit.references) == ({"text_free": True}, ())
    assert task.use_cases == (
        "wikihow_next_step",
        "report_generation",
        "image_editing",
        "storytelling_generation",
        "subject_driven_generation",
    )


def test_a_subset_is_its_instances_alone(twin: Path) -> None:
    task = InterleavedBench(InterleavedBenchOptions(subset="context-free"))
    dataset = task.open(DataSource(kind="path", path=twin))
    assert {sample.group for sample in task.samples(dataset)} == {"report_generation"}
    assert task.use_cases == ("report_generation",)


def test_a_subset_without_instances_is_said(tmp_path: Path) -> None:
    write_twin(tmp_path / "one", 1, 0)
    task = InterleavedBench(InterleavedBenchOptions(subset="context-free"))
    with pytest.raises(DataError, match="no context-free instances among 1"):
        task.open(DataSource(kind="path", path=tmp_path / "one"))


def test_same_n_and_seed_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_twin(tmp_path / name, 12, 1)
    write_twin(tmp_path / "c", 12, 2)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 7
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "c" / file).read_bytes()


def test_pictures_of_a_sequence_differ(twin: Path) -> None:
    task = InterleavedBench(InterleavedBenchOptions())
    sample = next(task.samples(task.open(DataSource(kind="path", path=twin))))
    first, second = (
        load_image(Path(part.path)) for part in sample.messages[0].parts if isinstance(part, File)
    )
    assert first.tobytes() != second.tobytes()


def test_an_agent_that_knows_the_truth_and_places_its_pictures_scores_near_the_top(
    twin: Path, tmp_path: Path
) -> None:
    high = by_agent(twin, tmp_path / "document")
    assert min(values(high).values()) > 4.5
    assert high.tool_usage is not None
    wanted = sum(len(truth.scenes) for truth in read_truth(twin).values())
    assert high.tool_usage.images_out == wanted > 20
    once = by_agent(twin, tmp_path / "once", document=False)
    assert values(once)["report_generation"] < values(high)["report_generation"] - 0.3
    low = eval_anything.evaluate(
        model="fake/constant",
        model_options={"reply": "[[response]]: a dog\n[[image_instruction]]: a large white ring"},
        tasks=["interleaved_bench"],
        data=str(twin),
        judge="scene",
        agent="text-protocol",
        agent_options={"image": "synthetic/scene"},
    ).tasks[0]
    for name in ("average", "text_quality", "image_coherence", "helpfulness"):
        assert values(low)[name] < values(high)[name] - 2, name


def test_answers_of_an_agent_hold_words_and_pictures_in_turn_and_replay(twin: Path, tmp_path: Path) -> None:
    first = by_agent(twin, tmp_path / "agent", limit=5)
    exported = tmp_path / "agent" / "run" / "samples_interleaved_bench.jsonl"
    rows = {row["id"]: row for row in map(json.loads, exported.read_text().splitlines())}
    kinds = [part["type"] for part in rows["report_generation_1"]["parts"]]
    scenes = read_truth(twin)["report_generation_1"].scenes
    assert kinds == ["text", "image"] * len(scenes)
    assert [part["type"] for part in rows["image_editing_2"]["parts"]] == ["image"]
    again = eval_anything.evaluate(
        model=f"replay/{exported}",
        tasks=["interleaved_bench"],
        data=str(twin),
        judge="scene",
        agent="none",
        limit=5,
    ).tasks[0]
    assert values(again) == values(first)


def test_a_model_with_pictures_of_its_own_is_asked_directly(twin: Path, tmp_path: Path) -> None:
    """Native interleaved output: recorded parts, pictures without a known scene among them."""
    rows = []
    for sample, truth in read_truth(twin).items():
        (tmp_path / f"{sample}.png").write_bytes(image.png(truth.scenes[0]))
        parts = [{"type": "text", "text": truth.text}, {"type": "image", "path": f"{sample}.png"}]
        rows.append({"id": sample, "parts": parts})
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = eval_anything.evaluate(
        model=f"replay/{tmp_path / 'answers.jsonl'}",
        tasks=["interleaved_bench"],
        data=str(twin),
        judge="scene",
    ).tasks[0]
    assert result.headline.n_missing == {"unparsed": 20}, "a judge that knows scenes alone has no number here"
    assert result.headline.value is None


@pytest.mark.parametrize(("missing", "value"), [("zero", 0), ("skip", None)])
def test_an_answer_of_nothing(twin: Path, missing: str, value: float | None) -> None:
    result = eval_anything.evaluate(
        model="fake/constant",
        model_options={"reply": ""},
        tasks=["interleaved_bench"],
        data=str(twin),
        judge="scene",
        agent="text-protocol",
        agent_options={"image": "synthetic/scene"},
        task_options={"missing_media": missing},
    ).tasks[0]
    assert result.headline.value == value
    assert {metric.value for metric in result.metrics} == {value}


def test_a_model_without_pictures_is_asked_without_them(twin: Path) -> None:
    result = eval_anything.evaluate(
        model="fake/echo",
        tasks=["interleaved_bench"],
        data=str(twin),
        judge="scene",
        agent="text-protocol",
        agent_options={"image": "synthetic/scene"},
        mask="image",
    ).tasks[0]
    assert result.masked == {"image": 16}, "four prompts are of text alone"


def test_prompts_are_replaced_by_files_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "user.md").write_text("{question}\n{response}\nMine.")
    task = InterleavedBench(InterleavedBenchOptions(), tmp_path)
    assert task.prompts["user"].endswith("Mine.")
    (tmp_path / "user.md").write_text("{question}")
    with pytest.raises(DataError, match="the judge would not see what it rates"):
        InterleavedBench(InterleavedBenchOptions(), tmp_path)


def test_show_lists_every_difference_of_the_profiles() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eval_anything", "show", "interleaved_bench"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "stored-zeros (original)" in done.stdout
    for name in ("unread-script", "missing-media", "headline", "align-anything"):
        assert f"{name} (all profiles)" in done.stdout
    for aspect in ASPECTS:
        assert aspect in done.stdout


def test_a_tool_that_failed_is_an_outage_and_no_answer_without_an_image() -> None:
    task = InterleavedBench(InterleavedBenchOptions())
    sample = Sample(id="1", messages=(Message("user", (Text("Draw."),)),), metadata={"text_free": True})
    words = (Text("words only"),)
    outage = task.settled(sample, Response(parts=words, selected=("text", "image")))
    assert outage is not None
    assert (outage.value, outage.state, outage.reason) == (None, "no_response", "the tool made no image")
    assert task.settled(sample, Response(parts=words)) is None, "the model chose words: rated as such"
