"""The preference schema: what is written is read again, and what is wrong with a line is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from data_kit import asked
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.media_files import png, wav

from eval_anything.errors import DataError, StorageError
from eval_anything.values import File, Message, Text
from eval_anything_train.data import schema
from eval_anything_train.data.source import load
from eval_anything_train.values import (
    Critiqued,
    Demonstration,
    Feedback,
    Labelled,
    Pair,
    Prompt,
    Record,
)

WORDS = (Text("words"),)


def one_of_each(folder: Path) -> list[Record]:
    picture, sound = File(str(folder / "media" / "a.png"), "image"), File(str(folder / "b.wav"), "audio")
    turns = (
        Message("system", (Text("Be kind."),)),
        Message("user", (picture, Text("What is this?"))),
        Message("assistant", (Text("A ring."), picture)),
        Message("user", (sound,)),
    )
    feedback = Feedback(critique="Wrong.", refinement="Look again.")
    return [
        Prompt(id="prompt", messages=turns, metadata={"from": ["x", 1]}),
        Demonstration(id="demonstration", messages=turns, answer=(Text("é\n"), picture)),
        Critiqued(id="critiqued", messages=turns, answer=WORDS, feedback=feedback),
        Labelled(id="labelled", messages=turns, answer=WORDS, desirable=False),
        Pair(
            id="pair",
            messages=turns,
            chosen=WORDS,
            rejected=(sound,),
            rates={"clarity": (3.0, 0.5)},
            feedback_rejected=feedback,
        ),
    ]


def media(folder: Path) -> None:
    (folder / "media").mkdir()
    (folder / "media" / "a.png").write_bytes(png())
    (folder / "b.wav").write_bytes(wav())


def test_what_is_written_is_read_again_and_media_are_named_from_the_file(tmp_path: Path) -> None:
    media(tmp_path)
    records = one_of_each(tmp_path)
    for record in records:
        path = tmp_path / "records.jsonl"
        schema.write(path, [record])
        assert json.loads(path.read_text())["messages"][1]["parts"][0]["path"] == "media/a.png"
        found = load(str(path), type(record))
        assert list(found.records) == [record]
        assert found.inputs == ("text", "image", "audio")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    schema.write(moved / "far.jsonl", records[:1])
    assert json.loads((moved / "far.jsonl").read_text())["messages"][1]["parts"][0]["path"].startswith("/")
    assert list(load(str(moved / "far.jsonl"), Prompt).records) == records[:1]


texts = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
parts = st.lists(st.builds(Text, texts), min_size=1, max_size=3).map(tuple)
pairs = st.builds(
    Pair,
    id=texts,
    messages=parts.map(lambda found: (Message("user", found),)),
    chosen=parts,
    rejected=parts,
    rates=st.dictionaries(texts, st.tuples(*[st.floats(0, 3)] * 2), max_size=2),
    feedback_chosen=st.none() | st.builds(Feedback, critique=texts, refinement=texts),
    metadata=st.dictionaries(texts, st.integers() | texts | st.none(), max_size=2),
)


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_any_pair_survives_a_line(pair: Pair) -> None:
    line = schema.encode(pair)
    assert b"\n" not in line
    assert schema.decode(line, "x") == pair


def test_lines_by_hand_may_be_short(tmp_path: Path) -> None:
    line = {
        "kind": "pair",
        "messages": [{"role": "user", "parts": "Why?"}],
        "chosen": "So.",
        "rejected": "No.",
    }
    path = tmp_path / "hand.jsonl"
    path.write_text(f"{json.dumps(line)}\n\n{json.dumps({**line, 'id': 7})}\n")
    first, second = load(str(path), Pair).records
    assert (first.id, second.id) == ("hand-0", "7")
    assert first.messages == asked("Why?")
    assert (first.chosen, first.rejected) == ((Text("So."),), (Text("No."),))


GOOD: dict[str, Any] = {
    "kind": "pair",
    "id": "a",
    "messages": [{"role": "user", "parts": "q"}],
    "chosen": "x",
    "rejected": "y",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "pear"}, r"'pear'.*did you mean 'pair'\?"),
        ({"kind": None}, r"`kind`|\$\.kind"),
        ({"chosn": "x"}, r"unknown field `chosn` .*did you mean 'chosen'\?"),
        ({"chosen": 3}, r"\$\.chosen"),
        ({"chosen": [{"type": "picture", "path": "a"}]}, r"'picture' - at `\$\.chosen\[0\]\.type`"),
        ({"chosen": [{"type": "image"}]}, r"required field `path` - at `\$\.chosen\[0\]`"),
        ({"messages": []}, "messages must end with the user's"),
        ({"messages": [{"role": "assistant", "parts": "q"}]}, "messages must end with the user's"),
        ({"messages": [{"role": "bot", "parts": "q"}]}, r"'bot' - at `\$\.messages\[0\]\.role`"),
        ({"rates": {"clarity": [1]}}, r"\$\.rates"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_its_row(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{json.dumps({**GOOD, **change})}")
    with pytest.raises(DataError, match=rf"pairs\.jsonl, row 1: .*{said}"):
        load(str(path), Pair)


def test_a_missing_field_and_a_cut_line_are_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    without = {name: value for name, value in GOOD.items() if name != "rejected"}
    path.write_text(json.dumps(without))
    with pytest.raises(DataError, match=r"row 0: Object missing required field `rejected`"):
        load(str(path), Pair)
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD)[:40])
    with pytest.raises(DataError, match=r"pairs\.jsonl, row 1: .*truncated"):
        load(str(path), Pair)


def test_one_kind_is_made_of_another_where_that_is_possible(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    feedback = Feedback(critique="c")
    pair = Pair(id="a", messages=asked(), chosen=WORDS, rejected=(Text("no"),), feedback_rejected=feedback)
    schema.write(path, [pair])
    assert [r.answer for r in load(str(path), Demonstration).records] == [WORDS]
    assert [(r.id, r.desirable) for r in load(str(path), Labelled).records] == [
        ("a/chosen", True),
        ("a/rejected", False),
    ]
    assert [(r.id, r.feedback) for r in load(str(path), Critiqued).records] == [("a/rejected", feedback)]
    assert [r.messages for r in load(str(path), Prompt).records] == [asked()]
    schema.write(path, [pair, Prompt(id="b", messages=asked())])
    with pytest.raises(DataError, match=r"row 1 \(id 'b'\): a prompt, and pairs were asked for"):
        load(str(path), Pair)
    assert len(load(str(path), Prompt).records) == 2


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Any:
        yield Prompt(id="a", messages=asked())
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"pairs\.jsonl: cannot be written: No space left"):
        schema.write(tmp_path / "pairs.jsonl", failing())
    assert list(tmp_path.iterdir()) == []


def test_a_message_that_could_not_be_read_again_is_not_written() -> None:
    messages = (Message("tool", (Text("12"),)), Message("user", (Text("What?"),)))
    with pytest.raises(DataError, match="record 'a': a message of role 'tool', expected system, user or"):
        schema.encode(Prompt(id="a", messages=messages))
