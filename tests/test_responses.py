"""`eval_anything.respond`: answers to samples of one's own, in order, once, also after kill -9."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hf_lab import Lab
from servers.openai_server import OpenAIServer, error, in_thread

import eval_anything
from eval_anything.errors import (
    DataError,
    EvalAnythingError,
    RunConflict,
    UnknownName,
    UsageError,
)
from eval_anything.media.convert import write_png
from eval_anything.stores.journal import read_rows
from eval_anything.stores.manifest import read_manifest
from eval_anything.values import File, Image, Message, Params, Sample, Text

NO_WAIT = {"backoff_s": 0.001, "retries": 1}


def asked(count: int, *media: File) -> list[Sample]:
    """Numbered questions; the first of them comes with `media`."""
    return [
        Sample(
            id=f"q{number}",
            messages=(Message("user", (*(media if number == 0 else ()), Text(f"Question {number}"))),),
        )
        for number in range(count)
    ]


def texts(found: eval_anything.Responses) -> list[tuple[str, int, str]]:
    return [(one.sample.id, one.repeat, one.response.text) for one in found]


@pytest.fixture
def picture(tmp_path: Path) -> File:
    import PIL.Image

    path = tmp_path / "data" / "red.png"
    path.parent.mkdir()
    path.write_bytes(write_png(PIL.Image.new("RGB", (60, 60), "red")))
    return File(str(path), "image")


def test_answers_come_in_the_order_of_samples_and_repeats(tmp_path: Path) -> None:
    model_options = {"jitter_s": 0.02}
    found = eval_anything.respond(
        "fake/echo", iter(asked(20)), out=tmp_path / "a", repeats=2, model_options=model_options
    )
    assert len(found) == found.planned == 40 and found.unfinished == 0
    again = [f"You said: Question {n}" for n in range(20)]
    assert texts(found) == [
        (f"q{n}", r, again[n] + ("\n(answer 2)" if r else "")) for n in range(20) for r in range(2)
    ]
    assert texts(found) == texts(found)


def test_parameters_and_a_seed_for_each_sample_reach_the_model(tmp_path: Path) -> None:
    params = Params(temperature=1.0, max_tokens=7, extra={"repetition_penalty": 1.1})
    with in_thread(OpenAIServer("yes")) as server:
        eval_anything.respond(
            "openai/m",
            asked(3),
            out=tmp_path / "a",
            params=params,
            seed=5,
            model_options={"base_url": server.url, "max_tokens": 9},
        )
        bodies = [call.body for call in server.calls]
    assert {(b["temperature"], b["repetition_penalty"]) for b in bodies} == {(1.0, 1.1)}
    assert {b.get("max_tokens", b.get("max_completion_tokens")) for b in bodies} == {9}  # the option wins
    assert len({b["seed"] for b in bodies}) == 3


def test_a_finished_directory_is_read_and_no_model_started(tmp_path: Path) -> None:
    with in_thread(OpenAIServer("yes")) as server:
        options: Any = {"out": tmp_path / "a", "model_options": {"base_url": server.url}}
        first = texts(eval_anything.respond("openai/m", asked(5), **options))
        assert server.count == 5
    # The server is gone.
    assert texts(eval_anything.respond("openai/m", asked(5), **options)) == first
    assert texts(eval_anything.respond("openai/m", asked(5), ask=False, **options)) == first


def test_asking_nothing_reads_what_there_is_and_makes_no_directory(tmp_path: Path) -> None:
    out = tmp_path / "a"
    found = eval_anything.respond("fake/echo", asked(3), out=out, ask=False)
    assert (len(found), found.planned, found.unfinished) == (0, 3, 3)
    assert not out.exists()
    fault = {"fault": "bad_request", "fault_rate": 0.5}
    some = eval_anything.respond("fake/echo", asked(20), out=out, model_options=fault, error_budget=1.0)
    failed = sum(one.response.state == "error" for one in some)
    assert 0 < failed < 20
    assert (len(some), some.unfinished) == (20, failed)
    options = {"model_options": fault, "error_budget": 1.0}
    read = eval_anything.respond("fake/echo", asked(20), out=out, ask=False, **options)
    assert [one.response.state for one in read] == [one.response.state for one in some]


def test_what_failed_is_asked_again_and_only_that(tmp_path: Path) -> None:
    down = {"now": True}

    def script(call: Any) -> Any:
        odd = int(call.body["messages"][-1]["content"].split()[1]) % 2
        return error(500, "down") if down["now"] and odd else "yes"

    with in_thread(OpenAIServer(script)) as server:
        options: Any = {
            "out": tmp_path / "a",
            "model_options": {"base_url": server.url, **NO_WAIT},
            "error_budget": 1.0,
        }
        first = eval_anything.respond("openai/m", asked(10), **options)
        assert [one.response.state for one in first] == ["ok", "error"] * 5
        down["now"], before = False, server.count
        second = eval_anything.respond("openai/m", asked(10), **options)
        assert server.count - before == 5
    assert {one.response.text for one in second} == {"yes"}


def test_too_many_failures_end_it_early_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "a"
    fault = {"fault": "server", "fault_rate": 0.5, **NO_WAIT}
    with pytest.raises(EvalAnythingError, match=r"the answers in .*a are not complete: .* error budget"):
        eval_anything.respond("fake/echo", asked(500), out=out, model_options=fault, concurrency=4)
    states = {row.response.state for row in read_rows(out / "journal.jsonl")}  # type: ignore[union-attr]
    assert states == {"ok", "error"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "fake/constant"}, "respond.model.spec: 'fake/echo' -> 'fake/constant'"),
        ({"params": Params(temperature=0.5)}, "respond.model.params.temperature: 1.0 -> 0.5"),
        ({"seed": 2}, "respond.seed: None -> 2"),
        ({"samples": asked(4)}, "respond.data.revision: "),
        ({"mask": ["audio"]}, r"respond.mask: \[\] -> \['audio'\]"),
        ({"outputs": ["text", "image"]}, "respond.task.outputs: "),
        ({"identity": {"prompts": "b"}}, "respond.task.prompts: 'a' -> 'b'"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(
    change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {
        "model": "fake/echo",
        "samples": asked(3),
        "out": tmp_path / "a",
        "params": Params(temperature=1.0),
        "identity": {"prompts": "a"},
    }
    eval_anything.respond(**given)
    assert len(eval_anything.respond(**given)) == 3
    for ask in (True, False):
        with pytest.raises(RunConflict, match=told):
            eval_anything.respond(**{**given, **change}, ask=ask)


def test_how_requests_travel_may_change_and_repeats_may_grow(tmp_path: Path) -> None:
    out = tmp_path / "a"
    eval_anything.respond("fake/echo", asked(3), out=out)
    more = eval_anything.respond(
        "fake/echo", asked(3), out=out, repeats=2, concurrency=1, cache=tmp_path / "cache", error_budget=0.5
    )
    assert len(more) == 6
    assert len(list(read_rows(out / "journal.jsonl"))) == 6


def test_media_are_stored_once_and_shown_to_the_model(tmp_path: Path, picture: File) -> None:
    found = eval_anything.respond(
        "fake/echo", asked(2, picture, picture), out=tmp_path / "a", root=tmp_path / "data"
    )
    first, second = found
    parts = first.sample.messages[0].parts
    assert isinstance(parts[0], Image) and parts[0] == parts[1]
    assert found.store.read(parts[0].artifact) == Path(picture.path).read_bytes()
    assert parts[0].artifact.lineage is not None and parts[0].artifact.lineage.name == "red.png"
    assert f"image {parts[0].artifact.sha256[:8]}, image" in first.response.text
    assert "image" not in second.response.text


def test_answers_may_be_media(tmp_path: Path) -> None:
    found = eval_anything.respond("fake/echo", asked(2), out=tmp_path / "a", outputs=["text", "image"])
    for one in found:
        words, drawn = one.response.parts
        assert isinstance(words, Text) and isinstance(drawn, Image)
        assert found.store.read(drawn.artifact).startswith(b"\x89PNG")


def test_a_moved_data_set_is_the_same_and_a_changed_file_another(tmp_path: Path, picture: File) -> None:
    def go(folder: Path) -> int:
        file = File(str(folder / "red.png"), "image")
        return len(eval_anything.respond("fake/echo", asked(2, file), out=tmp_path / "a", root=folder))

    assert go(tmp_path / "data") == 2
    (tmp_path / "data").rename(tmp_path / "moved")
    assert go(tmp_path / "moved") == 2
    with (tmp_path / "moved" / "red.png").open("ab") as file:
        file.write(b"more")
    with pytest.raises(RunConflict, match=r"data\.revision"):
        go(tmp_path / "moved")


def test_a_broken_file_costs_its_sample(tmp_path: Path, picture: File) -> None:
    Path(picture.path).write_bytes(b"no picture")
    first, second = eval_anything.respond("fake/echo", asked(2, picture), out=tmp_path / "a")
    assert first.response.state == "error" and first.response.fault is not None
    assert first.response.fault.kind == "media"
    assert second.response.state == "ok"


def test_what_the_model_cannot_take_or_give_is_refused_unless_masked(tmp_path: Path, picture: File) -> None:
    options = {"inputs": "text", "outputs": "text"}
    call: dict[str, Any] = {"samples": asked(2, picture), "out": tmp_path / "a", "model_options": options}
    with pytest.raises(UsageError, match="sample 'q0' holds image, which fake/echo does not take"):
        eval_anything.respond("fake/echo", **call)
    with pytest.raises(UsageError, match="fake/echo does not give audio"):
        eval_anything.respond("fake/echo", **call, outputs=["audio"])
    assert not (tmp_path / "a").exists()
    first, _ = eval_anything.respond("fake/echo", **call, mask=["image"])
    assert first.sample.masked == ("image",)
    assert first.response.text == "You said: Question 0"


def test_wrong_names_and_values_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "a"
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"repeat": 2}, UnknownName, "respond: unknown option 'repeat'; did you mean 'repeats'"),
        ({"judge": "x"}, UnknownName, "unknown option 'judge'"),
        ({"repeats": 0}, UsageError, "respond: repeats must be at least 1"),
        ({"mask": ["text"]}, UsageError, "text of a question cannot be masked"),
        ({"model": "fakee/echo"}, UnknownName, "fakee"),
        ({"model_options": {"reply_": 1}}, UnknownName, "did you mean 'reply'"),
        ({"samples": [*asked(2), *asked(1)]}, DataError, "two samples have the id 'q0'"),
    ]
    for change, kind, told in wrong:
        with pytest.raises(kind, match=told):
            eval_anything.respond(**{"model": "fake/echo", "samples": asked(2), "out": out, **change})
    assert not out.exists()
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(RunConflict, match="exists and is not a run"):
        eval_anything.respond("fake/echo", asked(2), out=out)


def test_no_samples_are_no_answers(tmp_path: Path) -> None:
    assert list(eval_anything.respond("fake/echo", [], out=tmp_path / "a")) == []


def test_it_can_be_called_where_an_event_loop_runs(tmp_path: Path) -> None:
    async def notebook() -> int:
        return len(eval_anything.respond("fake/echo", asked(2), out=tmp_path / "a"))

    assert asyncio.run(notebook()) == 2


def test_the_cache_is_shared_with_runs_of_other_samples(tmp_path: Path) -> None:
    with in_thread(OpenAIServer("yes")) as server:
        options: Any = {"cache": tmp_path / "cache", "model_options": {"base_url": server.url}}
        eval_anything.respond("openai/m", asked(3), out=tmp_path / "a", **options)
        found = eval_anything.respond("openai/m", asked(5), out=tmp_path / "b", **options)
        assert server.count == 5
    assert [one.response.cached for one in found] == [True] * 3 + [False] * 2


def test_the_manifest_says_what_was_asked_of_whom(tmp_path: Path) -> None:
    eval_anything.respond("fake/echo", asked(3), out=tmp_path / "a", seed=3, identity={"prompts": "a"})
    manifest = read_manifest(tmp_path / "a" / "manifest.json")
    (plan,) = manifest.tasks
    assert (manifest.model, manifest.seed, plan.planned, plan.judge) == ("fake/echo", 3, 3, "")
    assert plan.identity["task"]["prompts"] == "a"
    assert manifest.versions["python"]


SCRIPT = """
import json, sys
import eval_anything
from eval_anything.values import Params, Sample
import msgspec
asked = json.loads(sys.argv[1])
found = eval_anything.respond(
    asked["model"], msgspec.convert(asked["samples"], list[Sample]), out=asked["out"], seed=1,
    params=Params(temperature=1.0, max_tokens=16), concurrency=4, model_options=asked["options"],
)
print(json.dumps([one.response.text for one in found]))
"""


def process(model: str, samples: list[Sample], out: Path, options: dict[str, Any]) -> list[str]:
    told = {"model": model, "samples": msgspec.to_builtins(samples), "out": str(out), "options": options}
    return [sys.executable, "-c", SCRIPT, json.dumps(told)]


def kill_after(command: list[str], journal: Path, lines: int) -> int:
    """Run `command` until the journal has so many lines, kill it, and say how many there are then."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while not journal.exists() or journal.read_bytes().count(b"\n") < lines:
            time.sleep(0.002)
            assert running.poll() is None, "finished before it could be killed"
        running.send_signal(signal.SIGKILL)
    return journal.read_bytes().count(b"\n")


def test_kill_9_costs_what_was_in_flight_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    out = tmp_path / "a"
    with in_thread(OpenAIServer("yes", latency="0.02")) as server:
        command = process("openai/m", asked(200), out, {"base_url": server.url})
        kill_after(command, out / "journal.jsonl", 60)
        time.sleep(0.1)
        before, kept = server.count, len(list(read_rows(out / "journal.jsonl")))
        assert before - kept <= 4
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert server.count - before == 200 - kept
    assert json.loads(done.stdout) == ["yes"] * 200
    rows = [row.id for row in read_rows(out / "journal.jsonl")]
    assert len(rows) == len(set(rows)) == 200


def test_a_model_in_process_answers_after_kill_9_as_if_nothing_had_happened(
    tmp_path: Path, picture: File
) -> None:
    lab = Lab(tmp_path)
    model = f"hf/{lab.folder('tiny_qwen2_vl')}"
    options = {"device": "cpu", "dtype": "float32", "batch_size": 2}
    samples = asked(24, picture)
    whole = subprocess.run(
        process(model, samples, tmp_path / "whole", options), capture_output=True, text=True, check=True
    )
    cut = process(model, samples, tmp_path / "cut", options)
    kept = kill_after(cut, tmp_path / "cut" / "journal.jsonl", 4)
    assert 4 <= kept < 24
    resumed = subprocess.run(cut, capture_output=True, text=True, check=True)
    assert json.loads(resumed.stdout) == json.loads(whole.stdout)
    assert len(set(json.loads(whole.stdout))) > 12  # sampled, each by itself
    assert len(list(read_rows(tmp_path / "cut" / "journal.jsonl"))) == 24


def test_a_model_in_process_is_not_held_afterwards(tmp_path: Path) -> None:
    import gc

    import torch

    lab = Lab(tmp_path)

    def held() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.nn.Module) for thing in gc.get_objects())

    before = held()
    eval_anything.respond(
        f"hf/{lab.folder('tiny_llama')}",
        asked(2),
        out=tmp_path / "a",
        params=Params(max_tokens=4),
        model_options={"device": "cpu"},
    )
    assert held() == before


def test_a_limit_on_tokens_ends_it_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    samples = [Sample(id=str(n), messages=(Message("user", (Text("a question " * 4),)),)) for n in range(9)]
    with pytest.raises(EvalAnythingError, match="--max-total-tokens 100"):
        eval_anything.respond("fake/echo", samples, out=tmp_path / "asked", max_total_tokens=100)
    whole = eval_anything.respond("fake/echo", samples, out=tmp_path / "asked", max_total_tokens=10_000)
    assert len(whole) == 9
