"""`run --from RUN/manifest.json`: the run again, and what is not the same."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from servers.openai_server import Call, OpenAIServer, completion, in_thread

import eval_anything
from eval_anything.cli.main import main
from eval_anything.errors import DataError, UnknownName
from eval_anything.run.repeat import options_of
from eval_anything.stores.manifest import read_manifest
from eval_anything.values import Message, Sample, Text


def first(text_task: str, out: Path, *more: str) -> None:
    command = ["run", "--model", "fake/echo", "--tasks", "text_task", "--include", text_task, "--quiet"]
    assert main([*command, "--data", "synthetic:n=6", "--out", str(out), *more]) == 0


def edit(run: Path, **changes: Any) -> None:
    """Change the manifest of a run, as another version of the package would have written it."""
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def notes(run: Path) -> list[str]:
    found: list[str] = json.loads((run / "results.json").read_text())["notes"]
    return found


def test_the_same_run_again(text_task: str, tmp_path: Path, capsys: Any) -> None:
    first(text_task, tmp_path / "a", "--seed", "3", "--repeats", "2")
    assert main(["run", "--from", str(tmp_path / "a/manifest.json"), "--out", str(tmp_path / "b")]) == 0
    one, other = read_manifest(tmp_path / "a/manifest.json"), read_manifest(tmp_path / "b/manifest.json")
    assert [plan.fingerprint for plan in one.tasks] == [plan.fingerprint for plan in other.tasks]
    assert one.tasks[0].planned == other.tasks[0].planned == 12
    said = f"repeats {tmp_path / 'a'} of {one.created}: the same versions, checkpoints and data"
    assert any(note.startswith(said) for note in notes(tmp_path / "b")), notes(tmp_path / "b")
    assert "differs" not in capsys.readouterr().err


def test_a_folder_will_do_and_a_repeat_can_be_repeated(text_task: str, tmp_path: Path) -> None:
    first(text_task, tmp_path / "a")
    for source, out in (("a", "b"), ("b", "c")):
        assert main(["run", "--from", str(tmp_path / source), "--out", str(tmp_path / out), "-q"]) == 0
    assert any(f"repeats {tmp_path / 'b'}" in note for note in notes(tmp_path / "c"))


def test_what_differs_is_printed_and_kept(text_task: str, tmp_path: Path, capsys: Any) -> None:
    first(text_task, tmp_path / "a")
    manifest = json.loads((tmp_path / "a/manifest.json").read_text())
    plan = manifest["tasks"][0]
    plan["identity"]["data"]["revision"] = "older"
    edit(tmp_path / "a", versions={**manifest["versions"], "numpy": "1.0"}, tasks=[plan])
    again = ["run", "--from", str(tmp_path / "a"), "--out", str(tmp_path / "b"), "-M", "seed=5"]
    assert main(again) == 0
    said = capsys.readouterr().err
    for words in (
        "versions.numpy: '1.0' -> ",
        "text_task.data.revision: 'older' -> '6'",
        "text_task.model.options.seed: 0 -> 5",
        "seed: none was given",
    ):
        assert f"differs from {tmp_path / 'a'}: {words}" in said
        assert any(note.startswith(f"differs from it: {words}") for note in notes(tmp_path / "b"))


def test_options_given_besides_win(text_task: str, tmp_path: Path) -> None:
    first(text_task, tmp_path / "a", "-M", "reply=no", "--seed", "1")
    again = ["run", "--from", str(tmp_path / "a"), "--out", str(tmp_path / "b"), "--limit", "2", "-q"]
    assert main([*again, "--model", "fake/constant"]) == 0
    manifest = read_manifest(tmp_path / "b/manifest.json")
    assert (manifest.model, manifest.tasks[0].planned, manifest.seed) == ("fake/constant", 2, 1)
    assert manifest.config["model_options"] == {"reply": "no"}


def test_another_name_of_the_served_model_is_told(text_task: str, tmp_path: Path) -> None:
    served = {"name": "m-2026-01"}

    def answers(_: Call) -> dict[str, Any]:
        return completion("yes") | {"model": served["name"]}

    with in_thread(OpenAIServer(answers)) as server:
        first(text_task, tmp_path / "a", "--model", "openai/m", "--base-url", server.url)
        served["name"] = "m-2026-02"
        assert main(["run", "--from", str(tmp_path / "a"), "--out", str(tmp_path / "b"), "-q"]) == 0
    said = "differs from it: openai/m (model) was served as m-2026-01, and now as m-2026-02"
    assert said in notes(tmp_path / "b")


def test_without_its_journal_the_served_names_are_not_known(text_task: str, tmp_path: Path) -> None:
    first(text_task, tmp_path / "a")
    alone = tmp_path / "alone.json"
    alone.write_bytes((tmp_path / "a/manifest.json").read_bytes())
    assert main(["run", "--from", str(alone), "--out", str(tmp_path / "b"), "-q"]) == 0
    assert any("its journal is not beside the manifest" in note for note in notes(tmp_path / "b"))


def test_a_secret_that_was_not_written_is_asked_for_again(
    text_task: str, tmp_path: Path, capsys: Any
) -> None:
    with in_thread(OpenAIServer("yes")) as server:
        url = server.url.replace("http://", "http://me:pass-word-123@")
        first(text_task, tmp_path / "a", "--model", "openai/m", "--base-url", url)
        assert b"pass-word" not in (tmp_path / "a/manifest.json").read_bytes()
        again = ["run", "--from", str(tmp_path / "a"), "--out", str(tmp_path / "b"), "-q"]
        assert main(again) == 2
        assert "model_options.base_url held a secret, which was not written" in capsys.readouterr().err
        assert main([*again, "--base-url", url]) == 0


def test_what_cannot_be_rebuilt_is_refused(text_task: str, tmp_path: Path, capsys: Any) -> None:
    samples = [Sample(id="a", messages=(Message("user", (Text("hello"),)),))]
    eval_anything.respond("fake/echo", samples, out=tmp_path / "asked")
    with pytest.raises(DataError, match=r"given to eval_anything\.respond by a program"):
        options_of(tmp_path / "asked")
    first(text_task, tmp_path / "a")
    edit(tmp_path / "a", config={"model": "fake/echo", "tasks": ["text_task"], "temperture": 1})
    with pytest.raises(UnknownName, match="unknown option 'temperture'"):
        options_of(tmp_path / "a")
    edit(tmp_path / "a", config={})
    with pytest.raises(DataError, match="does not hold the options of its run"):
        options_of(tmp_path / "a")
    with pytest.raises(DataError, match="no run here"):
        options_of(tmp_path / "none.json")
    assert main(["run", "--from", str(tmp_path), "--config", "run.yaml"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_the_manifest_names_versions_of_what_can_move_a_number(text_task: str, tmp_path: Path) -> None:
    first(text_task, tmp_path / "a")
    manifest = read_manifest(tmp_path / "a/manifest.json")
    assert {"python", "platform", "eval-anything", "numpy", "torch", "transformers"} <= set(manifest.versions)
    assert re.fullmatch(r"\d+\.\d+.*", manifest.versions["numpy"])
    assert msgspec.json.decode(msgspec.json.encode(manifest)) is not None
