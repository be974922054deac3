"""AIR-Bench chat: samples, what the judge is shown, the benchmark's own prompts, runs, `show`."""

import json
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import Call, OpenAIServer, error, in_thread

import eval_anything
from eval_anything.cli.main import main
from eval_anything.errors import DataError, UnknownName
from eval_anything.options import parse
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ScoreRow
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.air_bench.chat import AIRBenchChat
from eval_anything.tasks.air_bench.twin import write_chat
from eval_anything.values import File, Response, Text

SCRIPT = """
import json


def build_test_file():
    for row in rows:
        system_prompt = ("Judge with care.\\n"
            "[Audio]\\nXAudioX\\n[Question]\\nXQuestionX\\n"
            "[One]\\nXAssistant1X\\n[Two]\\nXAssistant2X\\n"
            "Two numbers, please."
            )
        raise SystemExit("never executed")
"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("air") / "chat"
    write_chat(folder, 22, 1)
    return folder


def made(prompts: Path | None = None, **options: Any) -> AIRBenchChat:
    return AIRBenchChat(parse(AIRBenchChat.Options, options, "-T"), prompts)


def opened(task: AIRBenchChat, folder: Path) -> Dataset:
    return task.open(DataSource(kind="path", path=folder))


def run(folder: Path, out: Path, **options: Any) -> Any:
    return eval_anything.evaluate(tasks="air_bench_chat", data=str(folder), out=out, **options).tasks[0]


def test_a_sample_is_the_audio_and_the_question_alone(twin: Path) -> None:
    rows = json.loads((twin / "Chat" / "Chat_meta.json").read_text())
    task = made()
    samples = list(task.samples(opened(task, twin)))
    assert [sample.id for sample in samples] == [str(row["uniq_id"]) for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        (message,) = sample.messages
        audio, question = message.parts
        assert isinstance(audio, File)
        assert audio.path.endswith(f"Chat/{row['task_name']}_{row['dataset_name']}/{row['path']}")
        assert question == Text(row["question"])
        assert sample.group == row["task_name"]
        assert row["meta_info"] not in str(sample.messages), "the model does not see it"


@pytest.mark.parametrize(
    ("profile", "attempts", "swap", "parse_rule", "model"),
    [
        ("corrected", 3, True, "strict", "openai/gpt-4-0125-preview"),
        ("original", 1, True, "air", "openai/gpt-4-0125-preview"),
        ("align-anything", 5, False, "second", "openai/gpt-4-turbo"),
    ],
)
def test_profiles(twin: Path, profile: str, attempts: int, swap: bool, parse_rule: str, model: str) -> None:
    task = made(profile=profile)
    sample = next(task.samples(opened(task, twin)))
    rubric: Any = task.case(sample, Response(parts=(Text("x"),))).rubric
    assert (rubric.attempts, rubric.swap, rubric.parse) == (attempts, swap, parse_rule)
    assert (rubric.low, rubric.high, rubric.tie) == (1, 10, 0)
    assert rubric.order == ("reference", "response")
    assert task.protocol_judge == model
    assert task.identity() != made(profile="corrected" if profile != "corrected" else "original").identity()


def test_the_judge_reads_description_question_and_both_answers_in_the_published_order(
    twin: Path, tmp_path: Path
) -> None:
    with in_thread(OpenAIServer("5 5")) as server:
        options = {"judge": "openai/judge", "judge_options": {"base_url": server.url}}
        run(
            twin, tmp_path / "run", model="fake/constant", model_options={"reply": "MINE"}, limit=1, **options
        )
        calls = server.calls
    (row, *_) = json.loads((twin / "Chat" / "Chat_meta.json").read_text())
    assert len(calls) == 2
    texts = []
    for call in calls:
        (message,) = call.body["messages"]
        assert message["role"] == "user", "one user message, no system turn"
        texts.append(message["content"])
    wanted = ("[What is in the audio]", row["meta_info"], "[The question]", row["question"])
    for text in texts:
        places = [text.index(part) for part in (*wanted, "[Assistant 1]", "[Assistant 2]", "[Your task]")]
        assert places == sorted(places)
        assert all(word in text for word in ("helpful", "relevant", "accurate", "comprehensive"))
    first = sorted(text.index("\nMINE\n") < text.index(f"\n{row['answer_gt']}\n") for text in texts)
    assert first == [False, True], "in both orders"


def test_the_benchmarks_own_prompts_are_read_as_data(twin: Path, tmp_path: Path) -> None:
    (tmp_path / "score_chat.py").write_text(SCRIPT)
    task = made(tmp_path)
    assert task.prompts["user"] == (
        "Judge with care.\n[Audio]\n{description}\n[Question]\n{question}\n"
        "[One]\n{first}\n[Two]\n{second}\nTwo numbers, please."
    )
    assert task.identity()["prompts"] != made().identity()["prompts"]
    (tmp_path / "score_chat.py").write_text(SCRIPT.replace("XAssistant2X", "it"))
    with pytest.raises(DataError, match=r"system_prompt lacks XAssistant2X, where \{second\} belongs"):
        made(tmp_path)
    (tmp_path / "score_chat.py").write_text("system_prompt = 3\n")
    with pytest.raises(DataError, match="expected a string constant system_prompt"):
        made(tmp_path)
    (tmp_path / "score_chat.py").write_text("def (\n")
    with pytest.raises(DataError, match="not readable as Python source"):
        made(tmp_path)


def test_align_anythings_prompt_and_files_of_our_names_take_the_prompts_place(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    text = "XAudioX XQuestionX XAssistant1X XAssistant2X"
    (theirs / "ds_evaluate.py").write_text(f'gpt_prompt = """\n{text}\n"""\n')
    assert made(theirs).prompts["user"] == "\n{description} {question} {first} {second}\n"
    (ours / "user.md").write_text("{first} {second}")
    assert made(ours).prompts["user"] == "{first} {second}"
    with pytest.raises(DataError, match=r"holds none of user.md"):
        made(tmp_path)


def test_who_knows_the_answers_scores_clearly_higher_offline(tmp_path: Path) -> None:
    """In all profiles: the offline judge has every number that their metrics need."""
    folder = tmp_path / "twin"
    write_chat(folder, 88, 0)
    rows = json.loads((folder / "Chat" / "Chat_meta.json").read_text())
    knowing = tmp_path / "knowing.jsonl"
    knowing.write_text(
        "".join(json.dumps({"id": row["uniq_id"], "response": row["answer_gt"]}) + "\n" for row in rows)
    )
    for profile in ("corrected", "original", "align-anything"):
        options = {"task_options": {"profile": profile}, "judge": "reference"}
        best = run(folder, tmp_path / f"best {profile}", model=f"replay/{knowing}", **options)
        poor = run(folder, tmp_path / f"poor {profile}", model="fake/echo", **options)
        assert best.headline.value > 9
        assert poor.headline.value < 4
        assert all(metric.value is not None for metric in (*best.metrics, *poor.metrics))


def test_an_outage_of_the_judge_is_no_verdict_and_is_judged_again(twin: Path, tmp_path: Path) -> None:
    down = [True]

    def script(call: Call) -> Any:
        return error(400, "no") if down[0] else "4 6"

    with in_thread(OpenAIServer(script)) as server:
        options = {
            "model": "fake/echo",
            "judge": "openai/judge",
            "judge_options": {"base_url": server.url},
            "task_options": {"profile": "original"},
            "error_budget": 1.0,
            "limit": 4,
        }
        result = run(twin, tmp_path / "run", **options)
        assert (result.headline.value, result.headline.n_missing) == (None, {"judge_error": 4})
        down[0] = False
        result = run(twin, tmp_path / "run", **options)
    scores = {
        row.id: row.score
        for row in read_rows(tmp_path / "run" / "journal.jsonl")
        if isinstance(row, ScoreRow)
    }
    assert {score.value for score in scores.values()} == {5.0}
    assert scores["0"].components["response, reference first"] == 6
    assert scores["0"].components["response, response first"] == 4
    assert scores["0"].components["win, reference first"] == 1
    assert scores["0"].components["win, response first"] == 0


def test_limit_and_a_model_without_ears(twin: Path, tmp_path: Path) -> None:
    result = run(
        twin,
        tmp_path / "run",
        model="fake/echo",
        model_options={"inputs": "text"},
        judge="reference",
        limit=11,
    )
    assert (result.counts.planned, result.counts.responses) == (11, 11)
    assert result.masked == {"audio": 11}


def test_show_lists_every_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "air_bench_chat"]) == 0
    shown = capsys.readouterr().out
    for name in (
        "unparsed-skipped (original)",
        "orders-apart (original)",
        "below-scale (original)",
        "temperature-drawn (original)",
        "mixed-pooled (align-anything)",
        "one-order (align-anything)",
        "first-unread (align-anything)",
        "success-num (all profiles)",
        "swapped-labels (all profiles)",
        "shuffled-questions (all profiles)",
    ):
        assert name in shown
    assert "CC BY-NC 4.0" in shown


def test_a_wrong_profile_is_named(twin: Path) -> None:
    with pytest.raises(UnknownName, match="profil"):
        made(profil="original")
