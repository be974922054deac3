"""The command line as a user meets it: help, typos, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eval_anything.cli.main import main

VERBS = ("run", "ls", "show", "report", "watch", "judge-agreement", "synth", "tools", "cache")


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eval_anything", *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_every_verb_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb} " in shown
    assert "exit codes: 0 done, 1 regression found by gate, 2 wrong usage, 3" in shown


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_worked_examples_and_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert f"eval-anything {verb}" in shown.split("examples:")[1]
    assert "--json" in shown or verb == "report"  # report has --format json


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown verb 'rnu'; did you mean 'run'?"),
        (["run", "--modle", "fake/echo"], "unknown option '--modle'; did you mean '--model'?"),
        (["run", "--model", "fake/echo"], "no tasks given"),
        (["run", "--tasks", "amu"], "no model given"),
        (["run", "--model", "fake/echo", "--tasks", "amuu"], "unknown task 'amuu'; did you mean 'amu'?"),
        (["run", "--model", "fak/echo", "--tasks", "amu"], "unknown model 'fak'; did you mean 'fake'?"),
        (["run", "--model", "fake", "--tasks", "amu"], "did you mean 'fake/...'"),
        (["run", "--model", "fake/ecko", "--tasks", "amu"], "did you mean 'echo'"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-M", "delay=1"], "did you mean 'delay_s'"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-M", "delay_s"], "not of the form key=value"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-M", "delay_s=x"], "delay_s"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-M", "concurrency=-3"], "$.concurrency"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-M", "retries=-1"], "$.retries"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-M", "timeout_s=0"], "$.timeout_s"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "--limit", "9" * 30], "limit must be at most"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-T", "subst=image"], "did you mean 'subset'"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-T", "subset=imagee"], "subset"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "-J", "amuu:attempts=1"], "did you mean 'amu'"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "--data", "synthtic"], "did you mean 'synthetic'"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "--data", "synthetic:m=3"], "unknown option 'm'"),
        (
            ["run", "--model", "fake/echo", "--tasks", "amu", "--data", "synthetic", "--judge", "refrence"],
            "reference",
        ),
        (
            ["run", "--model", "fake/echo", "--tasks", "amu", "--data", "synthetic", "--judge", "rubric"],
            "needs a model",
        ),
        (["run", "--model", "fake/echo", "--tasks", "amu", "--mask", "sound"], "unknown modality 'sound'"),
        (["run", "--model", "fake/echo", "--tasks", "amu", "--config", "missing.yaml"], "missing.yaml"),
        (
            ["run", "--model", "fake/echo", "--tasks", "amu", "--prompts", "missing", "--data", "synthetic"],
            "missing",
        ),
        (
            ["run", "--model", "replay/missing.jsonl", "--tasks", "amu", "--data", "synthetic"],
            "missing.jsonl",
        ),
        (["run", "--model", "openai/m", "-M", "api_key=sk-1", "--tasks", "amu"], "api_key_env"),
        (["run", "--model", "openai/m", "--tasks", "amu", "--data", "synthetic:n=2"], "OPENAI_API_KEY"),
        (["ls", "taks"], "invalid choice"),
        (["show", "amuu"], "did you mean 'amu'"),
        (["report", "/nonexistent"], "/nonexistent"),
        (["synth", "--tasks", "amuu", "--out", "x"], "did you mean 'amu'"),
        (["cache", "show", "/nonexistent"], "not a response cache"),
    ],
)
def test_wrong_usage_is_one_clear_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    assert code == 2
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    faults = [line for line in captured.err.splitlines() if not line.startswith(("run directory:", "usage:"))]
    assert len(faults) == 1, captured.err
    assert "sk-1" not in captured.err


@pytest.mark.parametrize("name", ["model_options", "judge_options", "task_options", "agent_options"])
def test_options_in_a_file_that_are_no_mapping_are_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"model: fake/echo\ntasks: [amu]\n{name}: [delay_s]\n")
    assert main(["run", "--config", str(file), "--base-url", "http://localhost:1/v1"]) == 2
    assert f"{name}: expected a mapping of options" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("precious")
    assert main(["synth", "--tasks", "amu", "--n", "1", "--out", str(tmp_path / "file")]) == 3
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "file"))
    assert main(["run", "--model", "fake/echo", "--tasks", "amu", "--data", "synthetic:n=1"]) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"eval-anything: {tmp_path / 'file'}: File exists"
    assert second.startswith(f"eval-anything: {tmp_path / 'file'}")


def test_nothing_is_left_behind_by_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--model", "fake/echo", "--tasks", "amuu"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_heavy_libraries_stay_out_of_help_and_lists() -> None:
    code = (
        "import sys; from eval_anything.cli.main import main; main(['ls', 'tasks']); "
        "heavy = ('torch', 'transformers', 'aiohttp', 'av', 'numpy', 'PIL', 'rich'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_ls_and_show(text_task: str) -> None:
    assert "amu" in call("ls", "tasks").stdout
    models = json.loads(call("ls", "models", "--json").stdout)
    assert {m["name"] for m in models} >= {"openai", "hf", "replay", "fake"}
    assert all(m["summary"] for m in models)
    assert "reference" in call("ls", "judges").stdout
    assert "text_task" in call("ls", "tasks", "--include", text_task).stdout
    shown = call("show", "amu").stdout
    for fact in ("openai/gpt-4o", "CC BY-NC", "perception", "1 to 10", "subset = all"):
        assert fact in shown
    assert json.loads(call("show", "amu", "--json").stdout)["name"] == "amu"


def test_a_plugin_that_does_not_load_does_not_hide_the_others() -> None:
    from eval_anything.cli import ls
    from eval_anything.registry import Registry
    from eval_anything.task import Task

    registry: Registry[Task] = Registry("task", lambda: Task)
    registry._scanned = True

    def broken() -> object:
        raise ImportError("no module named spam")

    registry.add("broken", "some package", broken)
    assert "from some package does not load: no module named spam" in ls._summary(registry, "broken")


def test_every_built_in_loads() -> None:
    for kind in ("tasks", "groups", "models", "agents", "judges"):
        for row in json.loads(call("ls", kind, "--json").stdout):
            assert row["summary"], row
            assert not row["summary"].startswith("("), row


def test_yaml_and_command_line_give_the_same_run(text_task: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        f"model: fake/constant\nmodel_options: {{reply: hello}}\ntasks: [text_task]\ndata: synthetic:n=7\n"
        f"include: ['{text_task}']\nlimit: 3\nout: {tmp_path / 'a'}\n"
    )
    from_file = call("run", "--config", str(file), "--limit", "5", "--json", "-q")
    assert from_file.returncode == 0, from_file.stderr
    by_hand = call(
        *("run", "--model", "fake/constant", "-M", "reply=hello", "--tasks", "text_task", "--limit", "5"),
        *("--data", "synthetic:n=7", "--include", text_task, "--out", str(tmp_path / "b"), "--json", "-q"),
    )
    first, second = json.loads(from_file.stdout), json.loads(by_hand.stdout)
    assert first["tasks"][0]["counts"]["scored"] == 5
    for name in ("fingerprint", "metrics", "counts"):
        assert first["tasks"][0][name] == second["tasks"][0][name]


def test_synth_writes_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert (
            call(
                "synth", "--tasks", "amu", "--out", str(tmp_path / name), "--n", "8", "--seed", "4"
            ).returncode
            == 0
        )
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert {f.name for f in files} >= {"config.json", "visual.tar.gz", "auditory.tar.gz"}
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    again = call("synth", "--tasks", "amu", "--out", str(tmp_path / "a"))
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_the_cache_verb(text_task: str, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    options = ["--include", text_task, "--tasks", "text_task", "--data", "synthetic:n=4", "--cache", cache]
    assert call("run", "--model", "fake/echo", *options, "--out", str(tmp_path / "run"), "-q").returncode == 0
    assert json.loads(call("cache", "show", cache, "--json").stdout)["responses"] == 4
    assert "removed 4 responses" in call("cache", "clear", cache).stdout
    assert call("cache", "show", cache).returncode == 2


def test_prompts_and_profiles_that_would_be_ignored_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", "--model", "fake/echo", "--data", "synthetic:n=3", "--out", str(tmp_path / "run"), "-q"]
    two = [*run, "--tasks", "mia_bench,llava_bench_coco"]
    assert main([*two, "--prompts", str(tmp_path / "nowhere")]) == 2
    assert "--prompts: no such folder" in capsys.readouterr().err
    (tmp_path / "user.md").write_text("Mine.")
    assert main([*two, "--prompts", str(tmp_path)]) == 2
    assert "holds none of mia_bench/, llava_bench_coco/" in capsys.readouterr().err
    assert main([*two, "-T", "profile=original", "--profile", "corrected"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
