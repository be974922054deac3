"""Whole runs through the public entry points: states, budgets, resuming, conflicts, secrets."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, Reply, completion, error, in_thread

import eval_anything
from eval_anything.errors import DataError, EvalAnythingError, RunConflict, UsageError
from eval_anything.run.config import make_config
from eval_anything.run.run import Outcome, run
from eval_anything.stores.journal import Journal, read_rows
from eval_anything.stores.rows import ResponseRow, ScoreRow

NO_WAIT = {"backoff_s": 0.001, "retries": 1}


@pytest.fixture
def go(text_task: str, tmp_path: Path) -> Any:
    """Run text_task with the given options."""

    def go(model: str = "fake/echo", n: int = 20, out: str = "run", **options: Any) -> Outcome:
        values = {"model": model, "tasks": ["text_task"], "data": f"synthetic:n={n}", "include": [text_task]}
        config = make_config({**values, "out": tmp_path / out, **options})
        return run(config, progress=None)

    return go


def rows(outcome: Outcome) -> list[Any]:
    return list(read_rows(outcome.folder / "journal.jsonl"))


def test_every_sample_gets_one_response_and_one_score(go: Any) -> None:
    outcome = go(repeats=3)
    found = Counter((type(row).__name__, row.id, row.repeat) for row in rows(outcome))
    assert set(found.values()) == {1}
    assert len(found) == 20 * 3 * 2
    task = outcome.results.tasks[0]
    assert (task.headline.value, task.headline.n, task.headline.n_scored) == (1.0, 60, 60)
    assert outcome.exit_code == 0


def test_a_finished_run_is_not_asked_again_at_any_temperature(go: Any) -> None:
    with in_thread(OpenAIServer("Rating: [[5]]")) as server:
        options = {"base_url": server.url, "temperature": 1.0}
        first = go("openai/m", model_options=options)
        before, asked = rows(first), server.count
        again = go("openai/m", model_options=options)
    assert server.count == asked == 20
    assert rows(again) == before
    assert again.results.tasks == first.results.tasks


def test_errors_are_no_zeros_and_the_rest_is_scored(go: Any) -> None:
    outcome = go(n=200, model_options={"fault": "bad_request", "fault_rate": 0.05, **NO_WAIT})
    task = outcome.results.tasks[0]
    failed = task.counts.errors["bad_request"]
    assert 0 < failed < 20
    assert task.headline.value == 1.0
    assert (task.headline.n, task.headline.n_scored) == (200, 200 - failed)
    assert task.counts.missing == {"no_response": failed}
    assert outcome.exit_code == 0


def test_transient_faults_cost_nothing_but_time(go: Any) -> None:
    with in_thread(OpenAIServer("yes", faults={"500": 0.1, "reset": 0.1, "html": 0.1, "cut": 0.1})) as server:
        options = {"base_url": server.url, "backoff_s": 0.001, "retries": 20}
        outcome = go("openai/m", n=100, model_options=options)
        assert server.count > 100
    assert outcome.results.tasks[0].counts.scored == 100
    assert outcome.results.tasks[0].model_usage.requests == server.count


def test_a_hopeless_run_ends_early_and_keeps_what_it_has(go: Any) -> None:
    outcome = go(n=1000, model_options={"fault": "server", "fault_rate": 0.5, **NO_WAIT}, concurrency=4)
    assert outcome.exit_code == 3
    assert "error budget" in outcome.stopped
    task = outcome.results.tasks[0]
    assert 100 < task.counts.errors["server"] < 130  # a tenth of 1,000, and what was in flight
    assert 0 < task.counts.scored < 900
    assert not outcome.results.complete


def test_a_server_that_always_answers_garbage_scores_nothing(go: Any) -> None:
    with in_thread(OpenAIServer(Reply(b"<html>oops</html>"))) as server:
        outcome = go("openai/m", model_options={"base_url": server.url, **NO_WAIT})
    assert outcome.exit_code == 3
    assert outcome.results.tasks[0].headline.value is None
    assert outcome.results.tasks[0].headline.reason


def test_what_failed_is_asked_again_on_resume_and_only_that(go: Any) -> None:
    down = {"now": True}

    def script(call: Any) -> Any:
        text = call.body["messages"][-1]["content"]
        text = text if isinstance(text, str) else text[0]["text"]
        number = int(text.split()[1].rstrip(":"))
        return error(500, "down") if down["now"] and number % 2 else completion("yes")

    with in_thread(OpenAIServer(script)) as server:
        options = {"base_url": server.url, **NO_WAIT}
        first = go("openai/m", model_options=options, error_budget=1.0)
        assert first.results.tasks[0].counts.scored == 10
        down["now"], asked = False, server.count
        second = go("openai/m", model_options=options, error_budget=1.0)
        assert server.count - asked == 10
    assert second.results.tasks[0].counts.scored == 20
    assert second.results.tasks[0].counts.errors == {}


def test_a_judge_that_is_down_loses_no_response(go: Any) -> None:
    judge_down = {"now": True}

    def script(call: Any) -> Any:
        return error(500, "judge down") if judge_down["now"] else completion("Fine. Rating: [[7]]")

    with in_thread(OpenAIServer("yes")) as model, in_thread(OpenAIServer(script)) as judge:
        options = {
            "model_options": {"base_url": model.url},
            "judge": "openai/judge",
            "judge_options": {"base_url": judge.url, **NO_WAIT},
        }
        first = go("openai/m", **options)
        assert first.exit_code == 3
        assert first.results.tasks[0].headline.value is None  # an outage is never a low score
        answered = first.results.tasks[0].counts.responses
        asked = model.count
        judge_down["now"] = False
        second = go("openai/m", **options)
        assert model.count == 20
        assert model.count - asked == 20 - answered
    assert second.results.tasks[0].headline.value == 7.0
    assert second.exit_code == 0


def test_an_expired_key_stops_the_run_at_once(go: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret-1234567890")
    with in_thread(OpenAIServer(error(401, "bad key sk-secret-1234567890"))) as server:
        options = {"base_url": server.url, "api_key_env": "SOME_KEY"}
        outcome = go("openai/m", n=500, model_options=options, concurrency=8)
        assert server.count <= 8 + 1
    assert outcome.exit_code == 3
    assert "sk-secret" not in outcome.stopped


def test_no_secret_in_any_file(go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret-1234567890")

    def script(call: Any) -> Any:
        """Echoes what it was sent, the key included: in answers and in errors."""
        told = f"you sent {call.authorization}"
        return error(400, told) if call.number % 3 == 0 else completion(told)

    with in_thread(OpenAIServer(script)) as server:
        url = server.url.replace("http://", "http://user:hunter2-password@")
        options = {"base_url": server.url, "api_key_env": "SOME_KEY"}
        judge = {"judge": "openai/j", "judge_options": {"base_url": url}}
        common = {"model_options": options, "cache": str(tmp_path / "cache"), **judge}
        go("openai/m", error_budget=1.0, **common)
        assert any("Bearer sk-secret-1234567890" in c.authorization for c in server.calls)
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"manifest.json", "journal.jsonl", "results.json", "responses.sqlite"} <= {f.name for f in written}
    for file in written:
        content = file.read_bytes()
        assert b"sk-secret" not in content, file
        assert b"hunter2" not in content, file


def test_another_configuration_in_the_same_directory_is_refused_with_the_difference(go: Any) -> None:
    go()
    with pytest.raises(RunConflict) as caught:
        go(model_options={"temperature": 0.7})
    assert "text_task.model.params.temperature: 0.0 -> 0.7" in str(caught.value)


def test_a_larger_limit_extends_a_run_and_a_smaller_one_is_refused(go: Any) -> None:
    with in_thread(OpenAIServer("yes")) as server:
        options = {"model_options": {"base_url": server.url}}
        assert go("openai/m", limit=5, **options).results.tasks[0].counts.scored == 5
        assert go("openai/m", limit=12, **options).results.tasks[0].counts.scored == 12
        assert server.count == 12
        with pytest.raises(RunConflict, match="limit: 12 samples -> 5"):
            go("openai/m", limit=5, **options)


def test_fewer_samples_are_refused_also_where_more_repeats_make_up_for_them(go: Any) -> None:
    go(limit=8)
    with pytest.raises(RunConflict, match="limit: 8 samples -> 4"):
        go(limit=4, repeats=2)
    assert go(limit=8, repeats=2).results.tasks[0].headline.n == 16
    with pytest.raises(RunConflict, match="repeats: 2 -> 1"):
        go(limit=16)


def test_a_run_at_work_keeps_its_manifest(go: Any) -> None:
    folder = go(limit=4).folder
    manifest = (folder / "manifest.json").read_bytes()
    with Journal(folder / "journal.jsonl"), pytest.raises(RunConflict, match="another process"):
        go(limit=8)
    assert (folder / "manifest.json").read_bytes() == manifest


def test_an_out_that_is_a_file_is_refused(go: Any, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("precious")
    with pytest.raises(RunConflict, match="is not a run"):
        go()
    assert (tmp_path / "run").read_text() == "precious"


def test_a_directory_that_is_no_run_is_left_alone(go: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    with pytest.raises(RunConflict, match="is not a run"):
        go()


def test_the_model_never_judges_itself_unasked(go: Any, text_task: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "n.txt").write_text("3")
    with pytest.raises(UsageError, match="would judge its own answers"):
        go("fake/rater", data=str(folder))
    asked_for = go("fake/rater", data=str(folder), judge="fake/rater")
    assert asked_for.results.tasks[0].judge == "rubric:fake/rater"


def test_the_cache_saves_calls_and_is_keyed_by_everything_asked(go: Any, tmp_path: Path) -> None:
    with in_thread(OpenAIServer("yes")) as server:
        options = {"base_url": server.url}
        cache = str(tmp_path / "cache")
        go("openai/m", out="a", cache=cache, model_options=options)
        go("openai/m", out="b", cache=cache, model_options=options)
        assert server.count == 20
        go("openai/m", out="c", cache=cache, model_options={**options, "top_p": 0.5})
        assert server.count == 40
        go("openai/other", out="d", cache=cache, model_options=options)
        assert server.count == 60
        go("openai/m", out="e", cache=cache, model_options=options, repeats=2)
        assert server.count == 80  # the second answers are asked for: a repeat is not the same draw


def test_failures_are_never_cached(go: Any, tmp_path: Path) -> None:
    replies = {"good": False}

    def script(call: Any) -> Any:
        return completion("yes") if replies["good"] else error(400, "no")

    with in_thread(OpenAIServer(script)) as server:
        options = {
            "model_options": {"base_url": server.url},
            "cache": str(tmp_path / "cache"),
            "error_budget": 1.0,
        }
        assert go("openai/m", out="a", **options).results.tasks[0].counts.scored == 0
        replies["good"] = True
        assert go("openai/m", out="b", **options).results.tasks[0].counts.scored == 20


def test_model_and_judge_overlap(go: Any) -> None:
    """100 samples, 10 places, 50 ms each: 0.5 s for either alone, 1 s one after the other."""
    slow = {"delay_s": 0.05}
    began = time.monotonic()
    outcome = go(n=100, concurrency=10, model_options=slow, judge="fake/rater", judge_options=slow)
    assert outcome.results.tasks[0].counts.scored == 100
    assert time.monotonic() - began < 0.95


def test_seeds_differ_by_sample_and_repeat_and_are_the_same_in_every_run(go: Any) -> None:
    def seeds(out: str) -> list[int]:
        with in_thread(OpenAIServer("yes")) as server:
            go("openai/m", out=out, n=5, repeats=2, seed=7, model_options={"base_url": server.url})
            return sorted(call.body["seed"] for call in server.calls)

    first = seeds("a")
    assert len(set(first)) == 10
    assert seeds("b") == first


def test_kill_9_and_resume_asks_again_only_for_what_was_in_flight(text_task: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    places = 8
    with in_thread(OpenAIServer("yes", latency="0.02")) as server:
        command = [
            sys.executable,
            "-m",
            "eval_anything",
            "run",
            "--model",
            "openai/m",
            "--base-url",
            server.url,
        ]
        command += ["--include", text_task, "--tasks", "text_task", "--data", "synthetic:n=300"]
        command += ["--out", str(out), "--concurrency", str(places), "-M", "temperature=1.0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while server.count < 150:
                time.sleep(0.005)
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        time.sleep(0.1)
        asked = server.count
        kept = sum(isinstance(row, ResponseRow) for row in read_rows(out / "journal.jsonl"))
        assert asked - kept <= places
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert server.count - asked == 300 - kept
    scored = {(r.id, r.repeat) for r in read_rows(out / "journal.jsonl") if isinstance(r, ScoreRow)}
    assert len(scored) == 300
    assert "300" in done.stdout


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(text_task: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with in_thread(OpenAIServer("yes", latency="0.05")) as server:
        command = [
            sys.executable,
            "-m",
            "eval_anything",
            "run",
            "--model",
            "openai/m",
            "--base-url",
            server.url,
        ]
        command += ["--include", text_task, "--tasks", "text_task", "--data", "synthetic:n=200"]
        command += ["--out", str(out), "--concurrency", "4"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while server.count < 40:
                time.sleep(0.005)
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"run the same with --out {out}" in told
    assert "Traceback" not in told
    assert sum(isinstance(row, ScoreRow) for row in read_rows(out / "journal.jsonl")) >= 36


FEW_FILES = """
import resource, sys
from eval_anything.cli.main import main
resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
sys.exit(main(sys.argv[1:]))
"""


def test_more_requests_in_flight_than_the_system_allows_open_files(text_task: str, tmp_path: Path) -> None:
    with in_thread(OpenAIServer("yes", latency="1.0")) as server:
        arguments = ["run", "--model", "openai/m", "--base-url", server.url, "--include", text_task]
        arguments += ["--tasks", "text_task", "--data", "synthetic:n=400", "--concurrency", "400"]
        arguments += ["--out", str(tmp_path / "run"), "-M", "retries=0", "-q"]
        done = subprocess.run(
            [sys.executable, "-c", FEW_FILES, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert server.max_in_flight > 300


FULL_DISK = """
import resource, signal, sys
from eval_anything.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
sys.exit(main(sys.argv[1:]))
"""


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(text_task: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["run", "--model", "fake/echo", "--include", text_task, "--tasks", "text_task"]
    arguments += ["--data", "synthetic:n=200", "--out", str(out)]
    full = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert full.returncode == 3
    assert "cannot be written" in full.stderr
    kept = list(read_rows(out / "journal.jsonl"))
    assert kept
    done = subprocess.run(
        [sys.executable, "-m", "eval_anything", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(read_rows(out / "journal.jsonl"))[: len(kept)] == kept
    assert json.loads(done.stdout)["tasks"][0]["counts"]["scored"] == 200


def test_what_a_judge_does_wrong_costs_its_samples_and_leaves_the_journal_whole(
    go: Any, text_task: str, tmp_path: Path
) -> None:
    judge = tmp_path / "careless.py"
    judge.write_text(
        "from eval_anything.errors import MediaError\n"
        "from eval_anything.judge import Judge\n"
        "from eval_anything.values import Score\n\n\n"
        "class Careless(Judge):\n"
        '    """Wrong in several ways."""\n\n'
        '    name = "careless"\n\n'
        "    async def score(self, case):\n"
        "        if case.sample.id == '0':\n"
        "            raise MediaError('no picture')\n"
        "        wrong = [Score(value='7', state='scored'), Score(value=7.0, state='fine'),\n"
        "                 Score(value=7.0, state='scored', weight=-1), Score(value=7.0, state='scored',\n"
        "                 details={'x': object()}), None]\n"
        "        right = Score(value=7.0, state='scored', judge=self.label)\n"
        "        return dict(enumerate(wrong, 1)).get(int(case.sample.id), right)\n"
    )
    options = {"judge": "careless", "include": [text_task, str(judge)], "error_budget": 1.0}
    outcome = go(**options)
    assert outcome.stopped == ""
    task = outcome.results.tasks[0]
    assert (task.headline.value, task.counts.scored) == (7.0, 14)
    assert task.counts.missing == {"judge_error": 6}
    reasons = {row.id: row.score.reason for row in rows(outcome) if isinstance(row, ScoreRow)}
    assert reasons["0"] == "MediaError: no picture"
    assert "Expected `object`, got `null`" in reasons["5"]
    assert go(**options).results.tasks[0].counts.scored == 14


def test_two_samples_with_one_id_are_refused(go: Any, text_task: str, tmp_path: Path) -> None:
    double = tmp_path / "double.py"
    double.write_text(Path(text_task).read_text().replace("id=str(i)", "id=str(i // 2)"))
    with pytest.raises(DataError, match="task text_task: two samples have the id '0'"):
        go(include=[str(double)])


def test_evaluate_works_where_an_event_loop_runs(text_task: str, tmp_path: Path) -> None:
    """As in a notebook."""

    async def cell() -> Any:
        return eval_anything.evaluate(
            "fake/echo", "text_task", out=tmp_path / "run", data="synthetic:n=3", include=[text_task]
        )

    assert asyncio.run(cell()).tasks[0].headline.n_scored == 3


def test_evaluate_returns_results_that_print_and_become_rows(text_task: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"data": "synthetic:n=6", "include": [text_task]}
    results = eval_anything.evaluate("fake/echo", "text_task", out=tmp_path / "run", **options)
    assert "text_task" in str(results)
    assert [row["metric"] for row in results.rows()] == ["score", "even", "odd"]
    with pytest.raises(UsageError, match="did you mean 'limit'"):
        eval_anything.evaluate("fake/echo", "text_task", limt=3, **options)
    faults = {"fault": "bad_request"}
    with pytest.raises(EvalAnythingError, match="ended early"):
        eval_anything.evaluate("fake/echo", "text_task", out=tmp_path / "b", model_options=faults, **options)
