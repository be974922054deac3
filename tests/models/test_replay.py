import asyncio
import hashlib
import json

import pytest
from servers.media_files import mp4, png, wav

from eval_anything.errors import DataError, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext, NoOptions
from eval_anything.models.replay import ReplayModel
from eval_anything.values import Audio, Image, Likelihood, Message, Origin, Reasoning, Request, Text, Video


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def ask(path, store, *wanted):
    """Responses to (task, id, repeat), from one started model."""

    async def go():
        model = ReplayModel(str(path), NoOptions())
        await model.start(ModelContext(store=ArtifactStore(store)))
        origins = [Origin(*one) if one else None for one in wanted]
        asked = [
            Request(messages=(Message("user", (Text("?"),)),), origin=origin, output_modalities=("text",))
            for origin in origins
        ]
        try:
            return await asyncio.gather(*(model.generate(request) for request in asked))
        finally:
            await model.stop()

    return asyncio.run(go())


def test_the_most_particular_row_answers(tmp_path):
    path = write(
        tmp_path / "r.jsonl",
        {"id": "a", "response": "any task"},
        {"id": "a", "task": "amu", "response": "amu"},
        {"id": "a", "task": "amu", "repeat": 2, "response": "amu, third"},
        {"id": 7, "response": "a number as id"},
    )
    found = ask(path, tmp_path / "s", ("amu", "a", 0), ("amu", "a", 2), ("amg", "a", 1), ("amg", "7", 0))
    assert [response.text for response in found] == ["amu", "amu, third", "any task", "a number as id"]
    assert found[0].usage.requests == 0


def test_a_sample_without_a_row_is_skipped_not_failed(tmp_path):
    path = write(tmp_path / "r.jsonl", {"id": "a", "task": "amu", "response": "x"})
    missing, without_origin = ask(path, tmp_path / "s", ("amu", "b", 1), None)
    assert (missing.state, missing.fault.kind) == ("skipped", "missing")
    assert "'b' of task amu, repeat 1" in missing.fault.message
    assert without_origin.state == "skipped"


def test_media_parts_are_stored_and_keep_their_order(tmp_path):
    (tmp_path / "media").mkdir()
    for name, data in (("i.png", png()), ("a.wav", wav()), ("v.mp4", mp4())):
        (tmp_path / "media" / name).write_bytes(data)
    parts = [
        {"type": "reasoning", "text": "let me see"},
        {"type": "text", "text": "here"},
        {"type": "image", "path": "media/i.png"},
        {"type": "audio", "path": "media/a.wav", "transcript": "ding"},
        {"type": "video", "path": "media/v.mp4"},
    ]
    (response,) = ask(write(tmp_path / "r.jsonl", {"id": "a", "parts": parts}), tmp_path / "s", ("t", "a", 0))
    assert [type(part) for part in response.parts] == [Reasoning, Text, Image, Audio, Video]
    image, audio = response.parts[2], response.parts[3]
    assert image.artifact.sha256 == hashlib.sha256(png()).hexdigest()
    assert image.artifact.lineage.details == {"file": "media/i.png"}
    assert audio.transcript == "ding"
    assert response.usage.images_out == 1


def test_broken_media_cost_one_response(tmp_path):
    (tmp_path / "bad.png").write_bytes(png()[:40])
    (tmp_path / "out.png").symlink_to("/etc/hostname")
    rows = [
        {"id": name, "parts": [{"type": "image", "path": path}]}
        for name, path in (("broken", "bad.png"), ("gone", "no.png"), ("link", "out.png"))
    ]
    path = write(tmp_path / "r.jsonl", *rows, {"id": "good", "response": "fine"})
    *bad, good = ask(path, tmp_path / "s", *(("t", name, 0) for name in ("broken", "gone", "link", "good")))
    assert [(r.state, r.fault.kind) for r in bad] == [("error", "media")] * 3
    assert good.text == "fine"


def test_recorded_states(tmp_path):
    path = write(
        tmp_path / "r.jsonl",
        {"id": "cut", "response": "half", "state": "truncated", "score": 3},
        {"id": "no", "response": "", "state": "refused"},
        {"id": "failed", "state": "error", "response": None},
    )
    cut, no, failed = ask(path, tmp_path / "s", ("t", "cut", 0), ("t", "no", 0), ("t", "failed", 0))
    assert (cut.state, cut.text) == ("truncated", "half")
    assert (no.state, no.answered) == ("refused", False)
    assert (failed.state, failed.fault.kind) == ("error", "missing")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "line 2"),
        ('{"response": "x"}', "line 2.*id"),
        ({"id": "b"}, "line 2: neither response nor parts"),
        ({"id": "b", "likelihood": {"logprob": -1.0, "greedy": True}}, "line 2.*tokens"),
        ({"id": "b", "response": "x", "parts": []}, "line 2: both response and parts"),
        ({"id": "b", "response": "x", "answers": ["y"]}, "line 2: both response and answers"),
        ({"id": "b", "answers": []}, "line 2: answers is empty"),
        ({"id": "b", "answers": [3]}, "line 2.*answers"),
        (
            {"id": "b", "answers": [{"parts": [{"type": "image", "path": "../x.png"}]}]},
            "line 2: path '../x.png'",
        ),
        ({"id": "a", "response": "again"}, "line 2: a second response for sample 'a'"),
        ({"id": "b", "response": 3}, r"line 2.*response"),
        ({"id": "b", "parts": [{"type": "imag", "path": "x"}]}, "line 2.*imag"),
        ({"id": "b", "parts": [{"type": "image", "path": "../x.png"}]}, "line 2: path '../x.png'"),
        ({"id": "b", "parts": [{"type": "image", "path": "/etc/x.png"}]}, "line 2: path '/etc/x.png'"),
        ({"id": "b", "response": "x", "repeat": -1}, "line 2: repeat is -1"),
        ({"id": "b", "response": "x", "state": "done"}, "line 2.*state"),
        ("[" * 100_000, "line 2"),
    ],
)
def test_a_bad_row_is_refused_before_any_work(tmp_path, row, said):
    path = write(tmp_path / "r.jsonl", {"id": "a", "response": "x"}, row)
    with pytest.raises(DataError, match=said) as caught:
        ReplayModel(str(path), NoOptions())
    assert str(path) in str(caught.value)


def test_no_file_and_a_changed_file(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        ReplayModel(str(tmp_path / "none.jsonl"), NoOptions())
    path = write(tmp_path / "r.jsonl", {"id": "a", "response": "x"})
    model = ReplayModel(str(path), NoOptions())
    write(path, {"id": "b", "response": "longer than before"})
    with pytest.raises(UsageError, match="has changed"):
        asyncio.run(model.start(ModelContext(store=ArtifactStore(tmp_path / "s"))))


def test_identity_is_the_file(tmp_path):
    path = write(tmp_path / "r.jsonl", "", {"id": "a", "response": "x"}, "")
    identity = ReplayModel(str(path), NoOptions()).identity()
    assert identity == {"recording_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_offsets_survive_wide_characters_and_a_missing_line_end(tmp_path):
    text = "".join(
        json.dumps({"id": str(n), "response": "\u00e9\U0001f600" * n}, ensure_ascii=False) + "\n"
        for n in range(9)
    )
    path = tmp_path / "r.jsonl"
    path.write_text(text.rstrip("\n"), encoding="utf-8")
    found = ask(path, tmp_path / "s", *(("t", str(n), 0) for n in range(9)))
    assert [len(response.text) for response in found] == [2 * n for n in range(9)]


def test_an_exported_run_replays_to_the_same_answers(tmp_path, text_task):
    from eval_anything import evaluate
    from eval_anything.results.export import export_samples

    common = {"data": "synthetic:n=6", "include": [text_task], "judge": "always_one"}
    faults = {"fault": "bad_request", "fault_rate": 0.4}
    first = tmp_path / "first"
    evaluate("fake/echo", "text_task", out=first, model_options=faults, error_budget=1.0, **common)
    (samples,) = export_samples(first)
    second = tmp_path / "second"
    evaluate(f"replay/{samples}", "text_task", out=second, error_budget=1.0, **common)
    (again,) = export_samples(second)
    before, after = ([json.loads(line) for line in path.open()] for path in (samples, again))
    states = {row["state"] for row in before}
    assert states == {"ok", "error"}
    told = [
        [(row["id"], row["parts"], row["state"], row["score"]) for row in rows] for rows in (before, after)
    ]
    assert told[0] == told[1]


def parts_of(path, store, sample, parts):
    """Responses to all of the `parts` requests of a sample."""
    origins = [("t", sample, 0, part, parts) for part in range(parts)]
    return ask(path, store, *origins)


def test_several_answers_to_one_sample(tmp_path):
    (tmp_path / "i.png").write_bytes(png())
    drawn = {"parts": [{"type": "image", "path": "i.png"}], "state": "truncated", "selected": ["image"]}
    failed = {"state": "error", "parts": []}
    path = write(
        tmp_path / "r.jsonl",
        {"id": "a", "answers": ["one", drawn, "", failed], "parts": [{"type": "text", "text": "unread"}]},
    )
    one, two, empty, lost = parts_of(path, tmp_path / "s", "a", 4)
    assert (one.text, one.state) == ("one", "ok")
    assert (type(two.parts[0]), two.state, two.selected) == (Image, "truncated", ("image",))
    assert (empty.parts, empty.state) == ((), "ok")
    assert (lost.state, lost.fault.kind) == ("error", "missing")


def test_a_recording_with_another_number_of_answers_is_no_answer(tmp_path):
    path = write(tmp_path / "r.jsonl", {"id": "a", "answers": ["1", "2"]}, {"id": "b", "response": "1"})
    found = [
        *parts_of(path, tmp_path / "s", "a", 3),
        *parts_of(path, tmp_path / "s", "a", 1),
        *parts_of(path, tmp_path / "s", "b", 2),
    ]
    assert {response.state for response in found} == {"skipped"}
    assert "'a' of task t, repeat 0 asks 3 requests, and its row has 2 answers" in found[0].fault.message
    assert "'b' of task t, repeat 0 asks 2 requests, and its row has no `answers`" in found[-1].fault.message


def test_likelihoods_are_replayed_and_an_answer_is_none(tmp_path):
    likely = {"logprob": -1.5, "greedy": True, "tokens": 3}
    path = write(
        tmp_path / "r.jsonl",
        {"id": "a", "likelihood": likely},
        {"id": "b", "answers": [{"likelihood": likely}, "words"]},
        {"id": "c", "response": "words"},
    )

    async def go():
        model = ReplayModel(str(path), NoOptions())
        await model.start(ModelContext(store=ArtifactStore(tmp_path / "s")))
        origins = [Origin("t", "a"), Origin("t", "b", 0, 0, 2), Origin("t", "b", 0, 1, 2), Origin("t", "c")]
        asked = [Request(messages=(), continuation=" x", origin=origin) for origin in origins]
        found = [await model.generate(request) for request in asked]
        await model.stop()
        return found

    first, second, third, fourth = asyncio.run(go())
    assert first.likelihood == second.likelihood == Likelihood(logprob=-1.5, greedy=True, tokens=3)
    assert first.parts == () and first.state == "ok"
    assert (third.state, fourth.state) == ("skipped", "skipped")
    assert "no likelihood for sample 'c'" in fourth.fault.message


def test_what_an_agent_chose_is_replayed(tmp_path):
    path = write(tmp_path / "r.jsonl", {"id": "a", "response": "x", "selected": ["text", "image"]})
    (found,) = ask(path, tmp_path / "s", ("amg", "a", 0))
    assert (found.selected, found.modalities) == (("text", "image"), ("text", "image"))
    path = write(tmp_path / "w.jsonl", {"id": "a", "response": "x", "selected": ["smell"]})
    with pytest.raises(DataError, match=r"line 1: .*smell"):
        ask(path, tmp_path / "s")


def test_how_a_medium_was_made_is_kept_under_the_recordings_name(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    made = {
        "source": "tool",
        "name": "generate_image:x",
        "prompt": "a fox",
        "seed": 5,
        "details": {"scene": {}},
    }
    part = {"type": "image", "path": "a.png", "lineage": made}
    path = write(tmp_path / "r.jsonl", {"id": "a", "parts": [part]})
    (found,) = ask(path, tmp_path / "s", ("amg", "a", 0))
    lineage = found.parts[0].artifact.lineage
    assert (lineage.source, lineage.name) == ("model", f"replay/{path}")
    assert (lineage.prompt, lineage.seed) == ("a fox", 5)
    assert lineage.details == {"scene": {}, "file": "a.png"}
