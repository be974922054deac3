"""Our models in lm-evaluation-harness's own evaluator, over a real socket and in process."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import PIL.Image
import pytest
import tiny_models
from lm_eval.tasks import TaskManager
from lm_eval_lab import Lab
from servers.openai_server import (
    Call,
    OpenAIServer,
    Reply,
    completion,
    echoing,
    error,
    in_thread,
    plain_completion,
)

from eval_anything.errors import EvalAnythingError, ModelError, UsageError
from eval_anything.lm_eval import NAME, register
from eval_anything.lm_eval.__main__ import main
from eval_anything.lm_eval.model import EvalAnythingLM, close_all
from eval_anything.media.convert import write_png

SIGHT = """
task: tiny_sight
dataset_path: parquet
dataset_kwargs: {data_files: {test: FOLDER/sight.parquet}}
test_split: test
output_type: generate_until
doc_to_text: "What is in <image> this picture?"
doc_to_image: [image]
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
CHOICE = (
    SIGHT.replace("tiny_sight", "tiny_sight_choice")
    .replace("generate_until", "multiple_choice")
    .replace('doc_to_target: "{{answer}}"', 'doc_to_choice: ["red", "blue, or green"]\ndoc_to_target: 0')
    .replace('generation_kwargs: {until: ["\\n"], max_gen_toks: 8}\n', "")
    .replace("exact_match", "acc")
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    _write_sight(lab.tasks)
    return lab


def _write_sight(folder: Path) -> None:
    import datasets

    pixels = [PIL.Image.new("RGB", (28, 28), colour) for colour in ("red", "blue", "red")]
    rows = {"image": [{"bytes": write_png(image)} for image in pixels], "answer": ["red", "blue", "red"]}
    features = datasets.Features({"image": datasets.Image(), "answer": datasets.Value("string")})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(folder / "sight.parquet"))
    for name, text in (("tiny_sight", SIGHT), ("tiny_sight_choice", CHOICE)):
        (folder / f"{name}.yaml").write_text(text.replace("FOLDER", str(folder)))


@pytest.fixture
def opened() -> Iterator[Callable[..., EvalAnythingLM]]:
    made: list[EvalAnythingLM] = []

    def make(spec: str, **options: Any) -> EvalAnythingLM:
        made.append(EvalAnythingLM(spec, **options))
        return made[-1]

    yield make
    for model in made:
        model.close()


def evaluate(lab: Lab, model: Any, *names: str, **options: Any) -> Any:
    manager = TaskManager(include_path=str(lab.tasks), include_defaults=False)
    options = {"bootstrap_iters": 0, **options}
    return lm_eval.simple_evaluate(model, tasks=list(names), task_manager=manager, **options)


def numbers(found: Any) -> dict[str, dict[str, float]]:
    return {
        task: {k: v for k, v in values.items() if "," in k and "stderr" not in k}
        for task, values in found["results"].items()
    }


@pytest.mark.parametrize("chat", [False, True])
def test_the_same_checkpoint_has_the_numbers_of_their_own_model(
    lab: Lab, opened: Callable[..., EvalAnythingLM], chat: bool
) -> None:
    names = ["tiny_gen", "tiny_prefix", "tiny_choice", "tiny_choice_more", "tiny_last"]
    names += [] if chat else ["tiny_votes", "tiny_texts"]
    how = {"num_fewshot": 2, "apply_chat_template": chat}
    theirs = lab.theirs(*names, **how)
    model = opened(f"hf/{lab.checkpoint}", dtype="float32", device="cpu")
    ours = evaluate(lab, model, *names, **how)
    for name in names:
        for metric, value in numbers(ours)[name].items():
            assert value == pytest.approx(theirs[name][metric], rel=1e-6, abs=1e-6), (name, metric)
    assert len(ours["config"]["eval_anything"]["checkpoint"]) == 64


def test_a_server_is_asked_in_messages_with_its_limits_and_retries(
    lab: Lab, opened: Callable[..., EvalAnythingLM]
) -> None:
    failing = [error(503, "overloaded"), error(429, "slow", Retry_After="0")]

    def script(call: Call) -> Any:
        return failing.pop() if failing else completion("a or b, b")

    with in_thread(OpenAIServer(script, latency="0.02")) as server:
        model = opened("openai/some", base_url=server.url, concurrency=2, backoff_s=0.01)
        found = evaluate(lab, model, "tiny_gen", apply_chat_template=True, system_instruction="Be brief.")
        bodies = [call.body for call in server.calls]
        assert len(bodies) == 12 and server.max_in_flight == 2
    answers = [sample["resps"] for sample in found["samples"]["tiny_gen"]]
    assert all(answer == [["a or b, b"]] for answer in answers)
    assert [m["role"] for m in bodies[0]["messages"]] == ["system", "user"]
    assert bodies[0]["messages"][0]["content"] == "Be brief." and bodies[0]["temperature"] == 0.0
    assert bodies[0]["max_tokens"] and bodies[0]["stop"]


def test_likelihoods_of_a_server_that_echoes(lab: Lab, opened: Callable[..., EvalAnythingLM]) -> None:
    with in_thread(OpenAIServer(echoing)) as server:
        model = opened("openai/some", base_url=server.url)
        found = evaluate(lab, model, "tiny_choice")
        sample = found["samples"]["tiny_choice"][0]
        words = [args[1] for args in sample["arguments"]]
        for text, [(logprob, _)] in zip(words, sample["resps"], strict=True):
            assert logprob == -float(len(text))
        asked = len(server.calls)
        for task, said in (
            ("tiny_texts", "likelihoods of whole texts|by themselves"),
            ("tiny_choice", "chat"),
        ):
            with pytest.raises(UsageError, match=said):
                evaluate(lab, model, task, apply_chat_template=task == "tiny_choice")
        assert len(server.calls) == asked


MESSAGES_ALONE = """
from eval_anything import Model
from eval_anything.values import Capabilities, Request, Response, Text

class MessagesAlone(Model):
    provider = "messages_alone"

    def capabilities(self):
        return Capabilities(max_images=1, inputs=("text", "image"))

    async def generate(self, request):
        raise AssertionError("asked")
"""


def test_what_a_model_cannot_do_is_said_before_it_is_asked(
    lab: Lab, opened: Callable[..., EvalAnythingLM], tmp_path: Path
) -> None:
    (tmp_path / "provider.py").write_text(MESSAGES_ALONE)
    chats = opened("messages_alone/x", include=str(tmp_path / "provider.py"))
    with pytest.raises(UsageError, match="takes no plain prompts: --apply_chat_template"):
        evaluate(lab, chats, "tiny_gen")
    with pytest.raises(UsageError, match="does not tell the likelihoods of given texts"):
        evaluate(lab, chats, "tiny_choice", apply_chat_template=True)
    with pytest.raises(UsageError, match="does not tell the likelihoods of given texts"):
        evaluate(lab, chats, "tiny_texts")
    text_only = opened(f"hf/{lab.checkpoint}", dtype="float32", device="cpu")
    with pytest.raises(ValueError, match="multimodal"):
        evaluate(lab, text_only, "tiny_sight")
    with pytest.raises(UsageError, match="makes image; lm-evaluation-harness asks for words"):
        EvalAnythingLM("openai_images/x", base_url="http://localhost:1/v1")
    with pytest.raises(UsageError, match="did you mean 'base_url'"):
        EvalAnythingLM("openai/x", base_urll="http://localhost:1/v1")


def test_images_go_where_the_text_has_their_mark(lab: Lab, opened: Callable[..., EvalAnythingLM]) -> None:
    red = base64.b64encode(write_png(PIL.Image.new("RGB", (28, 28), "red"))).decode()

    def see(call: Call) -> Any:
        content = call.body["messages"][-1]["content"]
        assert [part["type"] for part in content] == ["text", "image_url", "text"]
        return completion("red" if content[1]["image_url"]["url"].endswith(red) else "blue\nand more")

    with in_thread(OpenAIServer(see)) as server:
        model = opened("openai/some", base_url=server.url)
        found = evaluate(lab, model, "tiny_sight", apply_chat_template=True)
        assert numbers(found)["tiny_sight"] == {"exact_match,none": 1.0}
        with pytest.raises(UsageError, match="media are parts of messages: --apply_chat_template"):
            evaluate(lab, model, "tiny_sight")
        blind = opened("openai/some", base_url=server.url, inputs="text,audio")
        with pytest.raises(UsageError, match="does not take image"):
            evaluate(lab, blind, "tiny_sight", apply_chat_template=True)


def test_a_checkpoint_that_sees_chooses_and_answers(
    lab: Lab, opened: Callable[..., EvalAnythingLM], tmp_path: Path
) -> None:
    folder = tiny_models.tiny_qwen2_vl(tmp_path)
    model = opened(f"hf/{folder}", dtype="float32", device="cpu")
    found = evaluate(lab, model, "tiny_sight", "tiny_sight_choice", apply_chat_template=True)
    chosen = [sample["resps"] for sample in found["samples"]["tiny_sight_choice"]]
    assert chosen[0] == chosen[2] != chosen[1]  # the same picture, the same likelihoods
    assert np.isfinite([logprob for sample in chosen for [(logprob, _)] in sample]).all()
    assert len(found["samples"]["tiny_sight"]) == 3


def test_a_failure_ends_it_and_the_cache_keeps_what_was_answered(
    lab: Lab, opened: Callable[..., EvalAnythingLM], tmp_path: Path
) -> None:
    down = {"after": 4}

    def script(call: Call) -> str | Reply:
        return error(400, "no") if call.number >= down["after"] else "b"

    with in_thread(OpenAIServer(script)) as server:
        options = {"base_url": server.url, "concurrency": 1, "cache": str(tmp_path / "cache")}
        with pytest.raises(
            EvalAnythingError, match=r"gave no answer to tiny_gen 4/0: bad_request: .*in the cache"
        ):
            evaluate(lab, opened("openai/some", **options), "tiny_gen", apply_chat_template=True)
        assert len(server.calls) == 5
        down["after"] = 10**6
        evaluate(lab, opened("openai/some", **options), "tiny_gen", apply_chat_template=True)
        assert len(server.calls) == 11  # six that were missing


def test_draws_differ_and_do_not_depend_on_their_neighbours(
    lab: Lab, opened: Callable[..., EvalAnythingLM]
) -> None:
    drawn = []
    for size in (1, 8):
        model = opened(f"hf/{lab.checkpoint}", dtype="float32", device="cpu", batch_size=size)
        found = evaluate(lab, model, "tiny_votes", gen_kwargs="temperature=1.0,do_sample=True")
        drawn.append([sample["resps"][0] for sample in found["samples"]["tiny_votes"]])
    assert drawn[0] == drawn[1]
    assert any(len(set(answers)) > 1 for answers in drawn[0])


def test_their_cache_keeps_answers_as_they_come(
    lab: Lab, opened: Callable[..., EvalAnythingLM], tmp_path: Path
) -> None:
    with in_thread(OpenAIServer(lambda call: plain_completion(" b"))) as server:
        model = opened("openai/some", base_url=server.url)
        for _ in range(2):
            evaluate(lab, model, "tiny_gen", use_cache=str(tmp_path / "theirs"))
        assert len(server.calls) == 10


def test_by_name_and_arguments_as_text(lab: Lab) -> None:
    register()
    register()
    with in_thread(OpenAIServer("b")) as server:
        arguments = f"spec=openai/some,base_url={server.url},temperature=0.3"
        found = evaluate(lab, NAME, "tiny_gen", model_args=arguments, apply_chat_template=True, batch_size=4)
        assert server.calls[0].body["temperature"] == 0.3  # options of the model win over the task's
    assert found["config"]["model"] == "eval-anything"
    close_all()
    with pytest.raises(UsageError, match="spec=PROVIDER/NAME"):
        evaluate(lab, NAME, "tiny_gen", model_args="base_url=http://localhost:1/v1")


@pytest.mark.timeout(600)  # it reads the files of all 14,000 tasks first
def test_their_command_line_with_our_model(lab: Lab, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "eval_anything.lm_eval", "run", "--model", "eval-anything"]
    command += ["--include_path", str(lab.tasks), "--tasks", "tiny_sight", "--apply_chat_template"]
    command += ["--output_path", str(tmp_path / "out"), "--log_samples"]

    with in_thread(OpenAIServer("red")) as server:
        command += ["--model_args", f"spec=openai/some,base_url={server.url}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "|tiny_sight" in done.stdout
    (results,) = (tmp_path / "out").rglob("results*.json")
    kept = json.loads(results.read_text())
    assert kept["results"]["tiny_sight"]["exact_match,none"] == pytest.approx(2 / 3)
    assert kept["config"]["eval_anything"]["spec"] == "openai/some"


def test_what_was_wrong_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for fault, code in ((UsageError("no such model"), 2), (ModelError("server down"), 3)):

        def ended(fault: Exception = fault) -> None:
            raise fault

        monkeypatch.setattr("lm_eval.__main__.cli_evaluate", ended)
        assert main() == code
        assert capsys.readouterr().err == f"eval-anything: {fault}\n"
