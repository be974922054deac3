"""Instruction following: samples, what judges are shown, answers without the medium, and whole runs."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from servers.openai_server import OpenAIServer, completion, in_thread

import eval_anything
from eval_anything.errors import DataError, UnknownName, UsageError
from eval_anything.judges.prompting import judge_prompt
from eval_anything.options import parse
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.synth.question_families import About
from eval_anything.synth.questions import answer as answer_to
from eval_anything.synth.questions import split_choices
from eval_anything.synth.scene import Scene
from eval_anything.task import DataSource
from eval_anything.tasks.amg import data
from eval_anything.tasks.amg.instruction import (
    Instruction,
    InstructionAudio,
    InstructionImage,
    InstructionText,
    InstructionVideo,
)
from eval_anything.values import Artifact, Audio, Image, Modality, Response, Sample, Text, Video

TASKS: tuple[type[Instruction], ...] = (InstructionText, InstructionImage, InstructionAudio, InstructionVideo)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all four tasks, as the hub has it."""
    folder = tmp_path_factory.mktemp("amg")
    for task in TASKS:
        task.write_synthetic(folder / task.modality, 12, 2)
        file = data.instruction_file(task.modality)
        (folder / file).parent.mkdir(parents=True)
        (folder / task.modality / file).rename(folder / file)
    return folder


def made(task: type[Instruction], **options: Any) -> Instruction:
    return task(parse(task.Options, options, "-T"))


def samples(task: Instruction, folder: Path) -> list[Sample]:
    dataset = task.open(DataSource(kind="path", path=folder))
    found = list(task.samples(dataset))
    assert len(found) == dataset.size == 12
    return found


def answer(*modalities: str, selected: tuple[Any, ...] = ()) -> Response:
    artifact = Artifact(sha256="0" * 64, mime="x/y", bytes_size=1)
    kinds: Any = {"image": Image, "audio": Audio, "video": Video}
    parts = tuple(Text("words") if m == "text" else kinds[m](artifact) for m in modalities)
    return Response(parts=parts, selected=selected)


@pytest.mark.parametrize("task", TASKS)
def test_one_sample_a_prompt_that_must_be_answered_in_its_modality(
    task: type[Instruction], twins: Path
) -> None:
    assert task.name == f"amg_instruction_{task.modality}"
    assert task.outputs == task.required == (task.modality,)
    rows = json.loads((twins / "data" / f"{task.modality}_instruct" / "test.json").read_text())
    prompts = {row["prompt_id"]: row["prompt"] for row in rows}
    found = samples(made(task), twins)
    assert {s.id: s.messages[0].parts for s in found} == {k: (Text(v),) for k, v in prompts.items()}
    means = made(task).aggregation()
    lowest = 1 if task is InstructionText else 0  # what `--missing floor` gives a refusal
    assert (means.overall, means.low, means.high) == (task.modality, lowest, 10)


@pytest.mark.parametrize("task", (InstructionAudio, InstructionVideo))
def test_questions_of_a_prompt_travel_with_its_sample(task: type[Instruction], twins: Path) -> None:
    rows = json.loads((twins / "data" / f"{task.modality}_instruct" / "test.json").read_text())
    found = samples(made(task), twins)
    carried = [
        {"prompt_id": s.id, "prompt": s.messages[0].parts[0].text, **q}  # type: ignore[union-attr]
        for s in found
        for q in s.metadata["questions"]
    ]
    assert carried == rows
    assert {s.metadata["weighting"] for s in found} == {"question"}
    assert {s.metadata["weighting"] for s in samples(made(task, weighting="prompt"), twins)} == {"prompt"}


@pytest.mark.parametrize("task", (InstructionText, InstructionImage))
def test_the_rubric_shows_prompt_and_answer_fenced_and_asks_for_a_score(
    task: type[Instruction], twins: Path
) -> None:
    one = made(task)
    sample = samples(one, twins)[0]
    rubric = one.case(sample, Response(parts=(Text("ANSWER"),))).rubric
    messages, _ = judge_prompt(rubric, "ANSWER", ())
    system, user = (m.parts[0].text for m in messages)  # type: ignore[union-attr]
    assert "<Score>: [[" in system
    assert "<Explanation>: [[" in system
    assert "100 words" in system
    prompt = sample.messages[0].parts[0].text  # type: ignore[union-attr]
    assert f">\n{prompt}\n</" in user, "the prompt is delimited"
    assert ">\nANSWER\n</" in user, "the answer is delimited"
    assert (rubric.low, rubric.high) == ((1, 10) if task is InstructionText else (0, 10))
    assert (rubric.attempts, rubric.params.temperature, rubric.parse) == (3, 0.5, "score")
    assert rubric.media == (task is InstructionImage)


def test_the_parts_of_the_image_rubric_add_up_to_ten(twins: Path) -> None:
    one = made(InstructionImage)
    system = one.case(samples(one, twins)[0], answer("image")).rubric.system
    assert [line.split(", 0 to ")[1][0] for line in system.splitlines() if ", 0 to " in line] == list("4321")


@pytest.mark.parametrize("task", (InstructionImage, InstructionAudio, InstructionVideo))
def test_an_answer_without_the_medium_is_zero_or_left_out_and_never_judged(
    task: type[Instruction], twins: Path
) -> None:
    zero, skip = made(task), made(task, missing_media="skip")
    sample = samples(zero, twins)[0]
    questions = len(sample.metadata.get("questions", [None]))
    for response in (answer("text"), answer(), answer("text", selected=("text",))):
        settled = zero.settled(sample, response)
        assert settled is not None
        assert (settled.value, settled.state, settled.weight) == (0.0, "scored", questions)
        left_out = skip.settled(sample, response)
        assert left_out is not None
        assert (left_out.value, left_out.state) == (None, "no_response")
        assert f"no {task.modality} in the answer" in left_out.reason
    assert zero.settled(sample, answer("text", task.modality)) is None, "there is something to judge"


@pytest.mark.parametrize("task", (InstructionImage, InstructionAudio, InstructionVideo))
def test_a_tool_that_failed_is_an_outage_and_no_zero(task: type[Instruction], twins: Path) -> None:
    one = made(task)
    failed = one.settled(samples(one, twins)[0], answer("text", selected=("text", task.modality)))
    assert failed is not None
    assert (failed.value, failed.state, failed.reason) == (
        None,
        "no_response",
        f"the tool made no {task.modality}",
    )


def test_text_is_always_judged(twins: Path) -> None:
    one = made(InstructionText)
    assert one.settled(samples(one, twins)[0], answer()) is None


def test_where_prompts_count_alike_a_zero_weighs_as_one(twins: Path) -> None:
    one = made(InstructionAudio, weighting="prompt")
    settled = one.settled(samples(one, twins)[0], answer("text"))
    assert settled is not None
    assert settled.weight == 1


def test_wrong_options_and_files_are_named(twins: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown option 'weightin'; did you mean 'weighting'"):
        made(InstructionAudio, weightin="prompt")
    with pytest.raises(UsageError, match="missing_media"):
        made(InstructionImage, missing_media="one")
    with pytest.raises(DataError, match=r"data/audio_instruct/test\.json: not there"):
        made(InstructionAudio).open(DataSource(kind="path", path=tmp_path))


def test_prompts_can_be_replaced_and_are_part_of_the_identity(tmp_path: Path) -> None:
    own = made(InstructionText)
    (tmp_path / "user.md").write_text("{prompt} and {response}")
    replaced = InstructionText(own.options, tmp_path)
    assert replaced.identity() != own.identity()
    assert replaced.prompts["user"] == "{prompt} and {response}"
    (tmp_path / "user.md").write_text("{prompt}")
    with pytest.raises(DataError, match="the judge would not see what it rates"):
        InstructionText(own.options, tmp_path)


def run(out: Path, task: str, **options: Any) -> Any:
    values = {"model": "fake/echo", "data": "synthetic:n=6,seed=1", "out": out, **options}
    return eval_anything.evaluate(tasks=[task], **values).tasks[0]


def test_text_is_rated_through_a_server_at_the_protocols_temperature(tmp_path: Path) -> None:
    def script(call: Any) -> Any:
        assert call.body["temperature"] == 0.5
        return completion("<Score>: [[7]]\n<Explanation>: [[better than a [[6]], short of a [[9]]]]")

    with in_thread(OpenAIServer(script)) as server:
        options = {"judge": "openai/judge", "judge_options": {"base_url": server.url}}
        result = run(tmp_path / "run", "amg_instruction_text", **options)
    assert (result.metrics[0].name, result.metrics[0].value, result.metrics[0].n_scored) == ("text", 7, 6)


def test_images_are_shown_to_the_judge_after_the_text(tmp_path: Path) -> None:
    def script(call: Any) -> Any:
        content = call.body["messages"][-1]["content"]
        assert [part["type"] for part in content] == ["text", "image_url"]
        return completion("<Score>: [[0]]\n<Explanation>: [[nothing of it is there]]")

    with in_thread(OpenAIServer(script)) as server:
        options = {"judge": "openai/judge", "judge_options": {"base_url": server.url}}
        result = run(tmp_path / "run", "amg_instruction_image", **options)
    assert (result.metrics[0].value, result.metrics[0].n_scored) == (0, 6)


@pytest.mark.parametrize("policy", ("zero", "skip"))
def test_a_model_that_only_writes_gets_zeros_or_nothing(tmp_path: Path, text_task: str, policy: str) -> None:
    """fake/echo with fault=empty gives neither text nor media; the judge would give 1 to everything."""
    result = run(
        tmp_path / "run",
        "amg_instruction_audio",
        model_options={"fault": "empty"},
        judge="always_one",
        include=[text_task],
        task_options={"missing_media": policy},
    )
    metric = result.metrics[0]
    if policy == "zero":
        assert (metric.value, metric.n_scored) == (0, 6)
    else:
        assert (metric.value, metric.n_missing) == (None, {"no_response": 6})


@pytest.mark.parametrize("modality", ("audio", "video"))
def test_what_a_faithful_generator_makes_answers_every_question_right(
    tmp_path: Path, text_task: str, modality: Modality
) -> None:
    """fake/echo hands the prompt on to the tool, which makes what it says."""
    out = tmp_path / "run"
    task = f"amg_instruction_{modality}"
    run(out, task, agent="text-protocol", judge="always_one", include=[text_task])
    asked = 0
    for row in read_rows(out / "journal.jsonl"):
        if isinstance(row, ResponseRow):
            (part,) = (p for p in row.response.parts if isinstance(p, Audio | Video))
            assert part.artifact.lineage is not None
            scene = msgspec.convert(part.artifact.lineage.details["scene"], Scene)
            for question in row.sample.metadata["questions"]:
                choices = split_choices(question["choice"])
                assert choices is not None
                about: About = "audio" if modality == "audio" else "video"
                assert answer_to(question["question"], choices, scene, about) == question["answer"]
                asked += 1
    assert asked > 6


@pytest.mark.parametrize(("modality", "least"), [("text", 9), ("image", 10), ("audio", 10), ("video", 10)])
def test_offline_the_scene_judge_gives_a_faithful_answer_full_marks(
    tmp_path: Path, modality: str, least: float
) -> None:
    result = run(tmp_path / "run", f"amg_instruction_{modality}", agent="text-protocol")
    assert result.judge == "scene"
    assert result.metrics[0].n_scored == 6
    assert result.metrics[0].value >= least


@pytest.mark.parametrize("weighting", ("question", "prompt"))
@pytest.mark.parametrize("modality", ("audio", "video"))
def test_questions_or_prompts_count_alike(tmp_path: Path, modality: str, weighting: str) -> None:
    """A judge that always says A is right on some prompts more often than on others."""
    task = InstructionAudio if modality == "audio" else InstructionVideo
    task.write_synthetic(tmp_path / "twin", 12, 2)
    result = run(
        tmp_path / "run",
        task.name,
        data=str(tmp_path / "twin"),
        judge="fake/constant",
        judge_options={"reply": "A"},
        task_options={"weighting": weighting},
    )
    prompts = data.read_questions(tmp_path / "twin" / data.instruction_file(task.modality))
    right = [[q.answer == "A" for q in prompt.questions] for prompt in prompts]
    flat = [r for each in right for r in each]
    means = {
        "question": 10 * sum(flat) / len(flat),
        "prompt": 10 * sum(sum(each) / len(each) for each in right) / len(right),
    }
    assert means["question"] != pytest.approx(means["prompt"]), "the test could not fail"
    assert result.metrics[0].value == pytest.approx(means[weighting])


def test_the_public_test_judge_can_rate_text_and_images(tmp_path: Path) -> None:
    for modality in ("text", "image"):
        result = run(tmp_path / modality, f"amg_instruction_{modality}", judge="fake/rater")
        assert result.metrics[0].n_scored == 6


def test_a_failing_tool_costs_no_points_and_declining_to_make_anything_costs_all(tmp_path: Path) -> None:
    with_tools = {"agent": "text-protocol", "error_budget": 1.0}
    broken = {"audio.fault": "bad_request"}
    result = run(tmp_path / "a", "amg_instruction_audio", agent_options=broken, **with_tools)
    assert (result.metrics[0].value, result.metrics[0].n_missing) == (None, {"no_response": 6})
    assert result.counts.errors == {"tool": 6}
    with in_thread(OpenAIServer(completion("[[response]]: no\n[[audio_instruction]]: None"))) as server:
        options = {"model": "openai/m", "model_options": {"base_url": server.url}, "agent": "text-protocol"}
        result = run(tmp_path / "b", "amg_instruction_audio", **options)
    assert (result.metrics[0].value, result.metrics[0].n_scored) == (0, 6)


@pytest.mark.parametrize("weighting", ["question", "prompt"])
def test_a_refusal_that_the_missing_policy_counts_has_the_weight_of_its_prompt(
    tmp_path: Path, weighting: str
) -> None:
    with in_thread(OpenAIServer(completion(None, "content_filter"))) as server:
        options = {"model": "openai/m", "model_options": {"base_url": server.url}, "agent": "text-protocol"}
        weights = {"missing": "floor", "task_options": {"weighting": weighting}}
        result = run(tmp_path / "run", "amg_instruction_audio", **options, **weights)
    assert (result.headline.value, result.headline.n_missing) == (0, {"refused": 6})
    rows = list(read_rows(tmp_path / "run" / "journal.jsonl"))
    questions = {
        row.id: len(row.sample.metadata["questions"]) for row in rows if isinstance(row, ResponseRow)
    }
    assert len(set(questions.values())) > 1
    found = {row.id: row.score.weight for row in rows if isinstance(row, ScoreRow)}
    assert found == (questions if weighting == "question" else dict.fromkeys(questions, 1))
