from __future__ import annotations

import asyncio
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import jsonlines
import msgspec
import pytest

from eval_anything.errors import DataError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext, NoOptions
from eval_anything.models.replay import ReplayModel
from eval_anything.results.export import export_samples
from eval_anything.values import (
    Artifact,
    Audio,
    Fault,
    File,
    Image,
    Message,
    Origin,
    Reasoning,
    Reference,
    Request,
    Response,
    Text,
    ToolCall,
    ToolResult,
    together,
)


def png(colour: str) -> bytes:
    from PIL import Image as Picture

    stream = io.BytesIO()
    Picture.new("RGB", (8, 6), colour).save(stream, "PNG")
    return stream.getvalue()


def wav() -> bytes:
    import numpy as np
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(1600), 16000, format="WAV")
    return stream.getvalue()


def rows(path: Path) -> list[dict[str, Any]]:
    with jsonlines.open(path) as reader:
        return list(reader)


def test_a_row_has_all_that_is_known_of_a_sample(run: Any) -> None:
    store = ArtifactStore(run.folder / "media")
    asked, drawn = store.add_bytes(png("red"), "image"), store.add_bytes(png("blue"), "image")
    said = store.add_bytes(wav(), "audio")
    run.manifest(run.plan(planned=1))
    run.response(
        "a",
        group="see",
        cluster="c1",
        messages=(Message("user", (Text("draw"), Image(asked), File("/data/set/cat.mp4", "video"))),),
        references=(Reference("a cat", {"visual": ("cat",)}),),
        metadata={"source": "x"},
        masked=("audio",),
        parts=(
            Reasoning("hm"),
            Text("here"),
            Image(drawn),
            Audio(said, "meow"),
            ToolCall("1", "draw", "{}"),
            ToolResult("1", (Image(drawn),)),
        ),
        notes=("resized",),
        finish_reason="stop",
        seconds=1.5,
    )
    run.score("a", 7, details={"replies": ["7"]}, components={"text-image": 0.5}, weight=2.0)
    (path,) = export_samples(run.save())
    assert path == run.folder / "samples_amu.jsonl"
    (row,) = rows(path)
    drawn_form = {
        "type": "image",
        "path": f"media/{drawn.sha256[:2]}/{drawn.sha256}.png",
        "sha256": drawn.sha256,
    }
    assert row["parts"] == [
        {"type": "reasoning", "text": "hm"},
        {"type": "text", "text": "here"},
        drawn_form,
        {
            "type": "audio",
            "path": f"media/{said.sha256[:2]}/{said.sha256}.wav",
            "sha256": said.sha256,
            "transcript": "meow",
        },
    ]
    assert row["tools"] == [
        {"type": "tool_call", "id": "1", "name": "draw", "arguments": "{}"},
        {
            "type": "tool_result",
            "call_id": "1",
            "parts": [drawn_form],
            "error": None,
            "wrong": False,
            "usage": {},
        },
    ]
    assert (run.folder / drawn_form["path"]).read_bytes() == png("blue")
    assert row["messages"][0]["role"] == "user"
    assert row["messages"][0]["parts"][2] == {"type": "video", "file": "cat.mp4"}
    assert row["references"] == [{"text": "a cat", "keywords": {"visual": ["cat"]}}]
    expected = {
        "id": "a",
        "task": "amu",
        "repeat": 0,
        "group": "see",
        "cluster": "c1",
        "metadata": {"source": "x"},
        "masked": ["audio"],
        "state": "ok",
        "fault": None,
        "finish_reason": "stop",
        "notes": ["resized"],
        "usage": {"requests": 1, "input_tokens": 10, "output_tokens": 5},
        "seconds": 1.5,
        "score": 7.0,
        "score_state": "scored",
        "reason": "",
        "judge": "rubric:openai/gpt-4o",
        "components": {"text-image": 0.5},
        "weight": 2.0,
        "judge_details": {"replies": ["7"]},
        "judge_usage": {"requests": 1, "input_tokens": 100, "output_tokens": 1},
    }
    assert {name: row[name] for name in expected} == expected


def test_the_latest_row_of_each_sample_and_repeat_is_there_once_in_order(run: Any) -> None:
    run.manifest(run.plan(), run.plan(name="amg"))
    run.scored("b", 2)
    run.failed("a")
    run.scored("a", 5, repeat=1)
    run.scored("x", 1, task="amg")
    run.scored("a", 9)
    run.scored("z", 9, fingerprint="other")
    run.response("b", parts=(Text("again"),))
    amu, amg = export_samples(run.save())
    found = [(r["id"], r["repeat"], r["state"], r["score"], r["score_state"], r["reason"]) for r in rows(amu)]
    assert found == [
        ("a", 0, "ok", 9.0, "scored", ""),
        ("a", 1, "ok", 5.0, "scored", ""),
        ("b", 0, "ok", None, None, "not judged yet"),
    ]
    assert rows(amu)[2]["parts"] == [{"type": "text", "text": "again"}]
    assert [r["id"] for r in rows(amg)] == ["x"]


def test_a_fault_is_told(run: Any) -> None:
    run.manifest(run.plan())
    run.failed("a", "rate_limit")
    (row,) = rows(export_samples(run.save())[0])
    assert (row["state"], row["fault"]) == ("error", {"kind": "rate_limit", "message": "no answer"})
    assert (row["score"], row["score_state"], row["reason"]) == (None, "no_response", "no answer")


def test_no_rows_make_an_empty_file(run: Any) -> None:
    run.manifest(run.plan())
    (path,) = export_samples(run.folder)
    assert path.read_bytes() == b""


def test_samples_can_be_replayed(run: Any, tmp_path: Path) -> None:
    store = ArtifactStore(run.folder / "media")
    drawn, said = store.add_bytes(png("blue"), "image"), store.add_bytes(wav(), "audio")
    parts = (Reasoning("hm"), Text("one\u2028two \U0001f600"), Image(drawn), Audio(said, "meow"))
    run.manifest(run.plan())
    run.scored("a", 7, parts=parts)
    run.scored("a", 7, parts=(Text("second"),), repeat=1)
    run.scored("cut", 7, state="truncated")
    run.failed("lost")
    (path,) = export_samples(run.save())

    async def replayed() -> list[Any]:
        model = ReplayModel(str(path), NoOptions())
        await model.start(ModelContext(store=ArtifactStore(tmp_path / "other")))
        keys = [("a", 0), ("a", 1), ("cut", 0), ("lost", 0)]
        requests = [Request(messages=(), origin=Origin("amu", name, repeat)) for name, repeat in keys]
        found = [await model.generate(request) for request in requests]
        await model.stop()
        return found

    first, second, cut, lost = asyncio.run(replayed())
    reasoning, text, image, audio = first.parts
    assert (reasoning, text) == parts[:2]
    assert image.artifact.sha256 == drawn.sha256
    assert (audio.artifact.sha256, audio.transcript) == (said.sha256, "meow")
    assert second.text == "second"
    assert (cut.state, lost.state) == ("truncated", "error")


def test_several_answers_to_one_sample_are_told_one_by_one(run: Any) -> None:
    drawn = ArtifactStore(run.folder / "media").add_bytes(png("blue"), "image")
    answers = (Response(parts=(Text("one"),)), Response(parts=(Image(drawn),), state="truncated"))
    further = ((Message("user", (Text("and that?"),)),),)
    run.manifest(run.plan())
    run.response("a", further=further, **msgspec.structs.asdict(together(answers)))
    run.scored("b", 1)
    first, plain = rows(export_samples(run.save())[0])
    assert first["further"] == [[{"role": "user", "parts": [{"type": "text", "text": "and that?"}]}]]
    assert [answer["state"] for answer in first["answers"]] == ["ok", "truncated"]
    assert [part for answer in first["answers"] for part in answer["parts"]] == first["parts"]
    assert first["state"] == "truncated"
    assert not {"further", "answers"} & plain.keys()


def test_task_names_cannot_lead_elsewhere(run: Any) -> None:
    run.manifest(run.plan(name="../../x/y"), run.plan(name=".._.._x_y"), run.plan(name="a\nb"))
    paths = export_samples(run.folder)
    assert [path.name for path in paths] == [
        "samples_.._.._x_y.jsonl",
        "samples_.._.._x_y_2.jsonl",
        "samples_a_b.jsonl",
    ]
    assert {path.parent for path in paths} == {run.folder}


def test_an_artifact_that_no_store_made_is_named_and_leaves_nothing(run: Any) -> None:
    run.manifest(run.plan())
    run.scored("a", 1, parts=(Image(Artifact(sha256="../../etc/passwd", mime="image/png", bytes_size=1)),))
    with pytest.raises(DataError, match=r"task amu, sample a: not a stored artifact"):
        export_samples(run.save())
    assert sorted(path.name for path in run.folder.iterdir()) == ["journal.jsonl", "manifest.json"]


def test_a_file_is_replaced_only_by_a_whole_one(run: Any) -> None:
    run.manifest(run.plan())
    run.scored("a", 1)
    (path,) = export_samples(run.save())
    before = path.read_bytes()
    run.scored("b", 1, parts=(Image(Artifact(sha256="0", mime="image/png", bytes_size=1)),))
    with pytest.raises(DataError):
        export_samples(run.save())
    assert path.read_bytes() == before


def test_memory_is_that_of_one_row(run: Any) -> None:
    run.manifest(run.plan())
    for i in range(60):
        run.scored(f"s{i}", 5, parts=(Text("x" * 500_000),))
    run.save()
    run.lines.clear()
    tracemalloc.start()
    export_samples(run.folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6  # the journal has 30 MB


def test_every_line_is_one_json_object(run: Any) -> None:
    run.manifest(run.plan())
    run.response("a\nb", state="error", fault=Fault("x\ny", "\x00\u2028"), metadata={"k": [1, None, 1.5]})
    lines = export_samples(run.save())[0].read_bytes().split(b"\n")
    assert lines[1:] == [b""]
    assert json.loads(lines[0])["metadata"] == {"k": [1, None, 1.5]}
    assert msgspec.json.decode(lines[0])["id"] == "a\nb"
