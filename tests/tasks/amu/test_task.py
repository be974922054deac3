"""AMU through whole runs, and what its judge is shown."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, completion, in_thread

import eval_anything
from eval_anything.errors import DataError, UsageError
from eval_anything.judges.prompting import judge_prompt
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow
from eval_anything.task import DataSource
from eval_anything.tasks.amu.task import AMU, AMUOptions
from eval_anything.values import Audio, Image, Message, Response, Text, Video

PUBLISHED = """
SYSTEM_PROMPT_DEFAULT = "published default"
SYSTEM_PROMPT_SAFETY = "published safety"
SYSTEM_PROMPT_IF = "published form"
USER_PROMPT = '''[References]
{reference_0} {visual_keywords_0} {auditory_keywords_9}
[Response]
{response}
[end]'''
raise SystemExit("executed")
"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twins") / "amu"
    AMU.write_synthetic(folder, 16, 3)
    return folder


def opened(twin: Path, **options: Any) -> tuple[AMU, list[Any]]:
    task = AMU(AMUOptions(**options))
    dataset = task.open(DataSource(kind="path", path=twin))
    samples = list(task.samples(dataset))
    assert len(samples) == dataset.size
    return task, samples


def prompt_of(task: AMU, sample: Any, answer: str = "ANSWER") -> tuple[str, str]:
    case = task.case(sample, Response(parts=(Text(answer),)))
    (system, user), _ = judge_prompt(case.rubric, answer)
    return system.parts[0].text, user.parts[0].text  # type: ignore[union-attr]


def test_samples_carry_question_media_ten_references_and_their_dimension(twin: Path) -> None:
    _, samples = opened(twin)
    records = json.loads((twin / "config.json").read_text())
    for sample, record in zip(samples, records, strict=True):
        assert sample.id == record["question_id"]
        assert sample.group == record["evaluation_dimension"]
        assert [r.text for r in sample.references] == [a["answer"] for a in record["annotations"]]
        visual, auditory, question = sample.messages[0].parts
        assert visual.modality == ("video" if record["visual_modality_path"].endswith(".mp4") else "image")
        assert (auditory.modality, question.text) == ("audio", record["question"])


def test_subsets_share_the_items_between_them(twin: Path) -> None:
    every, images, videos = (opened(twin, subset=s)[1] for s in ("all", "image", "video"))
    assert {s.id for s in images} | {s.id for s in videos} == {s.id for s in every}
    assert images
    assert videos


def test_the_judge_is_prompted_by_dimension_with_all_references_and_never_the_question(twin: Path) -> None:
    """Protocol: three system prompts; ten references with keywords; no question, no media."""
    task, samples = opened(twin)
    systems = {}
    for sample in samples:
        system, user = prompt_of(task, sample)
        systems.setdefault(sample.group, system)
        for i, reference in enumerate(sample.references):
            assert f"Reference answer {i}: {reference.text}\n" in user
            assert f"Visual keywords {i}: {' '.join(reference.keywords.get('visual', ()))}\n" in user
            assert f"Auditory keywords {i}: {' '.join(reference.keywords.get('auditory', ()))}\n" in user
        assert "\nANSWER\n" in user
        assert sample.messages[0].parts[-1].text not in user
    assert systems["perception"] == systems["reasoning"]
    assert len(set(systems.values())) == 3
    for system in systems.values():
        assert "[[rating]]" in system
        assert "from 1 (worst) to 10 (best)" in system


def test_the_judges_parameters_are_those_of_the_protocol(twin: Path) -> None:
    task, samples = opened(twin)
    rubric = task.case(samples[0], Response()).rubric
    assert (rubric.params.temperature, rubric.attempts, rubric.low, rubric.high) == (0.5, 3, 1, 10)


def test_published_prompts_are_read_beside_the_data_and_change_the_identity(
    twin: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "amu"
    shutil.copytree(twin, folder)
    with pytest.raises(DataError, match=r"amu_eval_prompt.py: not there"):
        opened(folder, prompts="published")
    (folder / "amu_eval_prompt.py").write_text(PUBLISHED)
    task, samples = opened(folder, prompts="published")
    own, _ = opened(folder)
    assert task.identity() != own.identity()
    safety = next(s for s in samples if s.group == "safety")
    system, user = prompt_of(task, safety)
    assert system == "published safety"
    assert user.startswith(f"[References]\n{safety.references[0].text} ")
    (folder / "amu_eval_prompt.py").write_text("USER_PROMPT = 'x'\n")
    with pytest.raises(DataError, match="no SYSTEM_PROMPT_DEFAULT"):
        opened(folder, prompts="published")


def run(out: Path, **options: Any) -> Any:
    values = {"model": "fake/echo", "data": "synthetic:n=16,seed=3", "out": out, **options}
    return eval_anything.evaluate(tasks=["amu"], **values)


def responses(out: Path) -> list[ResponseRow]:
    return [row for row in read_rows(out / "journal.jsonl") if isinstance(row, ResponseRow)]


def test_a_run_prints_four_dimensions_and_their_unweighted_mean(tmp_path: Path) -> None:
    results = run(tmp_path / "run")
    metrics = {m.name: m for m in results.tasks[0].metrics}
    assert list(metrics) == ["AMU", "perception", "reasoning", "instruction-following", "safety"]
    groups = [metrics[name].value for name in list(metrics)[1:]]
    assert metrics["AMU"].value == pytest.approx(sum(groups) / 4)
    assert results.tasks[0].judge == "reference"
    assert "reference" in str(results)
    assert "not comparable" in str(results)


def test_real_media_reach_the_model_as_they_are(tmp_path: Path, twin: Path) -> None:
    out = tmp_path / "run"
    run(out)
    for row in responses(out):
        parts = row.sample.messages[0].parts
        assert isinstance(parts[0], Image | Video)
        assert isinstance(parts[1], Audio)
        for part in parts[:2]:
            stored = out / "media" / part.artifact.sha256[:2]
            assert any(f.name.startswith(part.artifact.sha256) for f in stored.iterdir())
            assert part.artifact.lineage.source == "data"


def test_masking_drops_the_modality_and_records_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    results = run(out, mask="audio")
    for row in responses(out):
        assert row.sample.masked == ("audio",)
        assert not any(isinstance(part, Audio) for part in row.sample.messages[0].parts)
    assert results.tasks[0].masked == {"audio": 16}


def test_what_a_model_cannot_take_is_masked_as_in_the_paper(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, model_options={"inputs": "text,image"})
    assert {modality for row in responses(out) for modality in row.sample.masked} == {"audio", "video"}


def test_a_broken_file_costs_that_sample_and_names_the_file(tmp_path: Path, twin: Path) -> None:
    from eval_anything.media.archive import unpack

    folder = tmp_path / "amu"
    folder.mkdir()
    shutil.copy(twin / "config.json", folder)
    for name in ("visual", "auditory"):
        unpacked = unpack(twin / f"{name}.tar.gz", tmp_path / f"un-{name}")
        inner = unpacked / name if (unpacked / name).is_dir() else unpacked
        shutil.copytree(inner, folder / name)
    records = json.loads((folder / "config.json").read_text())
    image = next(r for r in records if r["visual_modality_path"].endswith(".png"))
    video = next(r for r in records if r["visual_modality_path"].endswith(".mp4"))
    sound = next(r for r in records if r not in (image, video))
    missing = next(r for r in records if r not in (image, video, sound))
    outside = next(r for r in records if r not in (image, video, sound, missing))
    endless = next(r for r in records if r not in (image, video, sound, missing, outside))
    for r, key in (
        (image, "visual_modality_path"),
        (video, "visual_modality_path"),
        (sound, "auditory_modality_path"),
    ):
        path = folder / r[key]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / missing["auditory_modality_path"]).unlink()
    (tmp_path / "secret.wav").write_bytes((folder / outside["auditory_modality_path"]).read_bytes())
    outside["auditory_modality_path"] = "../secret.wav"
    endless["auditory_modality_path"] = "a" * 5000 + ".wav"
    (folder / "config.json").write_text(json.dumps(records))
    out = tmp_path / "run"
    results = run(out, data=str(folder), judge="reference")
    assert results.tasks[0].counts.errors == {"media": 6}
    assert results.tasks[0].counts.scored == 10
    messages = {
        row.id: row.response.fault.message for row in responses(out) if row.response.fault is not None
    }
    for broken, name in (
        (image, image["visual_modality_path"]),
        (video, video["visual_modality_path"]),
        (sound, sound["auditory_modality_path"]),
        (missing, missing["auditory_modality_path"]),
        (outside, "secret.wav"),
        (endless, "aaa.wav"),
    ):
        assert name in messages[broken["question_id"]]


def test_the_judging_model_gets_no_media_and_rates_through_a_server(tmp_path: Path) -> None:
    def script(call: Any) -> Any:
        content = call.body["messages"][1]["content"]
        assert isinstance(content, str) or all(part["type"] == "text" for part in content)
        return completion("Agrees. Rating: [[8]]")

    with in_thread(OpenAIServer(script)) as server:
        results = run(tmp_path / "run", judge="openai/judge", judge_options={"base_url": server.url})
        assert {call.body["temperature"] for call in server.calls} == {0.5}
    assert results.tasks[0].headline.value == 8
    assert results.tasks[0].judge == "rubric:openai/judge"


def test_answers_recorded_elsewhere_and_by_an_earlier_run_are_scored_the_same(tmp_path: Path) -> None:
    first = run(tmp_path / "first")
    again = run(tmp_path / "again", model=f"replay/{tmp_path}/first/samples_amu.jsonl")
    assert [m.value for m in again.tasks[0].metrics] == [m.value for m in first.tasks[0].metrics]
    ids = [row.id for row in responses(tmp_path / "first")]
    recorded = tmp_path / "mine.jsonl"
    recorded.write_text("".join(json.dumps({"id": i, "response": "Two red circles."}) + "\n" for i in ids))
    assert run(tmp_path / "mine", model=f"replay/{recorded}").tasks[0].counts.scored == 16


def test_prompts_from_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "user.md").write_text("MINE {reference_0} {response}")
    with in_thread(OpenAIServer("Rating: [[2]]")) as server:
        options = {"judge": "openai/j", "judge_options": {"base_url": server.url}, "prompts": str(folder)}
        run(tmp_path / "run", **options)
        content = server.calls[0].body["messages"][1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    assert text.startswith("MINE ")
    (folder / "user.md").write_text("{reference_0} {respons}")
    with pytest.raises(UsageError, match="respons"):
        run(tmp_path / "other", **options)


def test_messages_are_what_the_model_was_asked(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, limit=3)
    assert all(isinstance(m, Message) for row in responses(out) for m in row.sample.messages)
    exported = [json.loads(line) for line in (out / "samples_amu.jsonl").read_text().splitlines()]
    assert len(exported) == 3
    for row in exported:
        for part in row["messages"][0]["parts"] if "messages" in row else []:
            if "path" in part:
                assert (out / part["path"]).is_file()


def test_demo_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "eval_anything", "run", "--model", "fake/echo", "--tasks", "amu"]
    command += ["--data", "synthetic:n=8", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "AMU" in done.stdout
    assert "8/8" in done.stderr
