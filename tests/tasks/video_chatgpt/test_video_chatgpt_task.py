"""Video-ChatGPT: what is asked, the twin, its answerers, and the benchmark's own prompts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import eval_anything
from eval_anything.errors import DataError, UsageError
from eval_anything.media.convert import load_video
from eval_anything.results.values import TaskResult
from eval_anything.task import DataSource
from eval_anything.tasks.video_chatgpt import task as task_module
from eval_anything.tasks.video_chatgpt.originals import SCRIPTS
from eval_anything.tasks.video_chatgpt.task import VideoChatGPT, VideoChatGPTOptions
from eval_anything.tasks.video_chatgpt.twin import read_truth, write_twin
from eval_anything.values import File, Text


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("video_chatgpt") / "twin"
    write_twin(folder, 30, 2)
    return folder


def replayed(twin: Path, out: Path, rows: list[dict[str, object]], **options: object) -> TaskResult:
    out.mkdir()
    (out / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return eval_anything.evaluate(
        model=f"replay/{out / 'answers.jsonl'}",
        tasks=["video_chatgpt"],
        data=str(twin),
        judge="reference",
        out=out / "run",
        **options,
    ).tasks[0]


def values(result: TaskResult) -> dict[str, float | None]:
    return {metric.name: metric.value for metric in result.metrics}


def test_each_question_is_asked_with_the_video_and_both_of_a_pair_by_themselves(twin: Path) -> None:
    task = VideoChatGPT(VideoChatGPTOptions())
    dataset = task.open(DataSource(kind="path", path=twin))
    samples = list(task.samples(dataset))
    assert len(samples) == dataset.size == 30
    generic, temporal, consistency = samples[:3]
    assert [s.group for s in samples[:3]] == ["generic", "temporal", "consistency"]
    assert {s.cluster for s in samples[:6]} == {"v_twin0001"}
    for sample in samples:
        for messages in sample.requests:
            video, question = messages[0].parts
            assert isinstance(video, File)
            assert video.modality == "video"
            assert isinstance(question, Text)
    assert generic.further == temporal.further == ()
    assert len(consistency.requests) == 2
    assert consistency.requests[0] != consistency.requests[1]
    assert len(consistency.references) == 1


def test_videos_of_the_twin_have_motion(twin: Path) -> None:
    frames = load_video(twin / "Test_Videos" / "v_twin0001.mp4")
    assert len(frames) > 1
    assert frames[0].tobytes() != frames[-1].tobytes()


def test_same_n_and_seed_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_twin(tmp_path / name, 8, 1)
    write_twin(tmp_path / "c", 8, 2)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / files[0]).read_bytes() != (tmp_path / "c" / files[0]).read_bytes()


def test_a_twin_has_all_three_lists_or_is_none(tmp_path: Path) -> None:
    write_twin(tmp_path / "three", 3, 0)
    assert len(read_truth(tmp_path / "three")) == 3
    with pytest.raises(UsageError, match="at least 3 items"):
        write_twin(tmp_path / "two", 2, 0)


def test_who_knows_the_truth_scores_clearly_higher(twin: Path, tmp_path: Path) -> None:
    truth = {i: list(one.answers) for i, one in read_truth(twin).items()}
    answers = list(truth.values())
    others = dict(zip(truth, [*answers[7:], *answers[:7]], strict=True))
    knows = [row(i, own) for i, own in truth.items()]
    guesses = [row(i, [others[i][0]] * len(own)) for i, own in truth.items()]
    high = values(replayed(twin, tmp_path / "knows", knows))
    low = values(replayed(twin, tmp_path / "guesses", guesses))
    for name in high:
        assert (high[name] or 0) > (low[name] or 0) + 1.5, name
    assert (high["average"] or 0) > 4


def row(sample: str, answers: list[str]) -> dict[str, object]:
    return {"id": sample, "answers": answers} if len(answers) > 1 else {"id": sample, "response": answers[0]}


def test_a_limit_shows_every_part(twin: Path) -> None:
    result = eval_anything.evaluate(
        model="fake/echo", tasks=["video_chatgpt"], data=str(twin), judge="reference", limit=6
    ).tasks[0]
    assert None not in values(result).values()
    assert result.counts.planned == 6


def test_a_model_without_video_is_asked_without_it(twin: Path) -> None:
    result = eval_anything.evaluate(
        model="fake/constant",
        model_options={"reply": "I cannot see."},
        tasks=["video_chatgpt"],
        data=str(twin),
        judge="reference",
        mask="video",
    ).tasks[0]
    assert result.masked == {"video": 30}


ORIGINAL = """
import openai

def annotate(prediction_set, caption_files, output_dir):
    for file in caption_files:
        question = prediction_set[file]["q"]
        completion = openai.ChatCompletion.create(
            model="gpt-3.5-turbo",
            messages=[
                {{
                    "role": "system",
                    "content":
                        "Rate the {aspect}. "
                        "------"
                        "- Be strict.\\n"
                }},
                {{
                    "role": "user",
                    "content":
                        "Please:\\n\\n"
                        {lines}
                        "Like this: {{''score': 4.8}}."
                }}
            ]
        )

raise SystemExit("executed")
"""
ONE = 'f"Question: {question}\\n"\n f"Answer: {answer}\\n" f"Predicted: {pred}\\n"'
TWO = 'f"Q1: {question1}\\n" f"Q2: {question2}\\n" f"A: {answer}\\n" f"P1: {pred1}\\n" f"P2: {pred2}\\n"'


def write_scripts(folder: Path, lines: str = ONE) -> Path:
    folder.mkdir(parents=True)
    for aspect, name in SCRIPTS.items():
        used = TWO if aspect == "consistency" else lines
        (folder / name).write_text(ORIGINAL.format(aspect=aspect, lines=used))
    return folder


@pytest.mark.parametrize("inner", ["", "quantitative_evaluation"])
def test_the_benchmarks_own_prompts_are_taken_from_its_scripts_without_running_them(
    tmp_path: Path, inner: str
) -> None:
    write_scripts(tmp_path / "copy" / inner)
    task = VideoChatGPT(VideoChatGPTOptions(), tmp_path / "copy")
    assert task.prompts["detail_system"] == "Rate the detail. ------- Be strict.\n"
    assert task.prompts["detail_user"] == (
        "Please:\n\nQuestion: {question}\nAnswer: {answer}\nPredicted: {response}\n"
        "Like this: {''score': 4.8}."
    )
    assert task.prompts["consistency_user"] == (
        "Please:\n\nQ1: {question_1}\nQ2: {question_2}\nA: {answer}\nP1: {response_0}\nP2: {response_1}\n"
        "Like this: {''score': 4.8}."
    )
    assert task.identity()["prompts"] != VideoChatGPT(VideoChatGPTOptions()).identity()["prompts"]


def test_scripts_of_another_form_are_said(tmp_path: Path) -> None:
    folder = write_scripts(tmp_path / "copy", 'f"Question: {questoin}\\n"')
    with pytest.raises(
        DataError, match=r"evaluate_benchmark_1_correctness\.py, line \d+: .*did you mean 'question'"
    ):
        VideoChatGPT(VideoChatGPTOptions(), folder)
    for name in SCRIPTS.values():
        (folder / name).write_text("print('hello')\n")
    with pytest.raises(DataError, match="no message of role 'system'"):
        VideoChatGPT(VideoChatGPTOptions(), folder)
    (folder / SCRIPTS["correctness"]).write_text("def (:\n")
    with pytest.raises(DataError, match="not readable as Python source"):
        VideoChatGPT(VideoChatGPTOptions(), folder)


def test_a_template_that_does_not_show_the_answer_is_refused(tmp_path: Path) -> None:
    folder = write_scripts(tmp_path / "copy", 'f"Question: {question}\\n"')
    with pytest.raises(DataError, match=r"correctness_user.*no \{response\}: the judge would not see"):
        VideoChatGPT(VideoChatGPTOptions(), folder)
    write_scripts(tmp_path / "other")
    script = tmp_path / "other" / SCRIPTS["consistency"]
    script.write_text(script.read_text().replace("{pred2}", "the same"))
    with pytest.raises(DataError, match=r"consistency_user.*no \{response_1\}: the judge would not see"):
        VideoChatGPT(VideoChatGPTOptions(), tmp_path / "other")


def test_show_lists_every_difference_of_the_profiles() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eval_anything", "show", "video_chatgpt"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("asks-for-ever", "cut-to-whole", "any-size", "first-question-twice"):
        assert f"{name} (original)" in done.stdout
    assert "attempts: corrected 3; original 10; align-anything 3" in done.stdout
    assert "parse: corrected strict; original literal; align-anything strict" in done.stdout


def test_the_cards_recipe_makes_a_recording_of_prediction_files(
    twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = read_truth(twin)
    monkeypatch.chdir(tmp_path)
    for part in ("generic", "temporal", "consistency"):
        answers = [list(one.answers) for i, one in truth.items() if i.startswith(part)]
        rows = json.loads((twin / f"{part}_qa.json").read_text())
        for row, own in zip(rows, answers, strict=True):
            row.update({"pred": own[0]} if len(own) == 1 else {"pred1": own[0], "pred2": own[1]})
        Path(f"{part}_pred.json").write_text(json.dumps(rows))
    card = (Path(task_module.__file__).parent / "README.md").read_text()
    exec(card.split("```python\n")[1].split("```")[0], {})
    recording = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    result = values(replayed(twin, tmp_path / "run", recording))
    assert (result["average"] or 0) > 4
