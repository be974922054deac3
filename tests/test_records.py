"""Rows and layouts: what is wrong is said with file, row, field, and what was expected."""

import json
from pathlib import Path

import msgspec
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.media_files import png, wav

from eval_anything import records
from eval_anything.errors import DataError
from eval_anything.records import Medium


class Item(msgspec.Struct, frozen=True):
    question_id: str
    text: str


ROWS = [{"question_id": 1, "text": "a"}, {"question_id": "2", "text": "b", "more": None}]


def test_a_list_lines_and_parquet_give_the_same_records(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps(ROWS))
    (tmp_path / "lines.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    table = pyarrow.table({"question_id": ["1", "2"], "text": ["a", "b"]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    found = [
        records.records(path, rows, Item, "question_id")
        for path, rows in (
            (path, records.json_rows(path, "x"))
            for path in (tmp_path / "list.json", tmp_path / "lines.jsonl")
        )
    ]
    path = tmp_path / "rows.parquet"
    found.append(records.records(path, records.parquet_rows(path, "x"), Item))
    assert found == [[Item("1", "a"), Item("2", "b")]] * 3
    assert len({records.revision_of(rows) for rows in found}) == 1
    assert records.revision_of(found[0]) != records.revision_of(found[0], b"other media")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not there; expected a list"),
        ("{", "neither a JSON list nor JSON lines"),
        ("[1, 2", "neither a JSON list nor JSON lines"),
        ("[" * 100_000, "neither a JSON list nor JSON lines"),
        ("[]", "no rows"),
        ("", "no rows"),
    ],
)
def test_a_file_without_rows_is_named(content: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=rf"rows\.json: {said}"):
        records.json_rows(path, "a list")


def test_a_wrong_row_is_named_with_number_id_and_field() -> None:
    with pytest.raises(DataError, match=r"^f, row 1 \(question_id '7'\): .*`str`.* - at `\$\.text`"):
        records.records(Path("f"), [ROWS[0], {"question_id": 7, "text": 3}], Item, "question_id")
    with pytest.raises(DataError, match=r"^f, row 0 .*missing required field `text`"):
        records.records(Path("f"), [{"question_id": "9"}], Item, "question_id")
    with pytest.raises(DataError, match=r"^f, row 0: Expected `object`, got `int`"):
        records.records(Path("f"), [3], Item, "question_id")
    with pytest.raises(DataError, match=r"`question_id`|\$\.question_id"):  # True is no number
        records.record(Path("f"), 0, {"question_id": True, "text": ""}, Item)


def test_parquet_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(DataError, match="not there; expected rows"):
        records.parquet_rows(path, "rows")
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="not readable as parquet"):
        records.parquet_rows(path, "rows")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1], "b": [2]}), path)
    assert records.parquet_rows(path, "rows", ["b"]) == [{"b": 2}]
    with pytest.raises(DataError, match=r"no column 'c' \(it has: a, b\)"):
        records.parquet_rows(path, "rows", ["a", "c"])


def test_parquet_is_read_row_by_row_over_all_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = [{"n": n, "image": {"bytes": bytes([n]), "path": None}, "s": "x"} for n in range(150)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=70)
    assert records.parquet_columns(path, "rows") == ["n", "image", "s"]
    assert list(records.iter_parquet(path, "rows")) == rows
    assert [row["n"] for row in records.iter_parquet(path, "rows", ["n"])] == list(range(150))
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.parquet: not readable as parquet"):
        list(records.iter_parquet(path, "rows"))


def test_what_occurs_twice_and_what_is_not_as_many_as_published() -> None:
    records.check_unique(Path("f"), "id", ["a", "b"])
    with pytest.raises(DataError, match="f, row 2: id 'a' occurs twice"):
        records.check_unique(Path("f"), "id", ["a", "b", "a"])
    records.check_count(Path("f"), 90, 90)
    with pytest.raises(DataError, match="f: 89 rows, the published data set has 90"):
        records.check_count(Path("f"), 89, 90)


def test_a_folder_with_missing_or_extra_data_files(tmp_path: Path) -> None:
    def check() -> None:
        records.check_folder(tmp_path, ("qa/rows.json",), ("qa/more-*.json",), "qa/rows.json and images/")

    with pytest.raises(DataError, match=r"qa/rows\.json: not there; expected qa/rows\.json and images/"):
        check()
    (tmp_path / "qa").mkdir()
    for name in ("qa/rows.json", "qa/more-1.json", "README.md", "LICENSE", "qa/.cache.json", "notes.txt"):
        (tmp_path / name).write_text("x")
    check()
    (tmp_path / "qa" / "rows_v2.json").write_text("x")
    with pytest.raises(DataError, match=r"rows_v2\.json: not a file of this data set; expected qa/rows"):
        check()
    with pytest.raises(DataError, match="no such folder; expected layout"):
        records.check_folder(tmp_path / "nowhere", (), (), "layout")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not there"),
        (b"", "empty"),
        (b"<html>no such picture</html>", "HTML, expected an image"),
        (b"\x00\x01\x02\x03" * 10, "of an unknown type, expected an image"),
    ],
)
def test_media_that_cannot_be_used_are_named_with_their_record(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(png())
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(DataError, match=rf"bad\.png: {said}; row 3 names it"):
        records.check_media([Medium(good, "image", "row 2"), Medium(bad, "image", "row 3")])


def test_media_are_what_they_begin_like(tmp_path: Path) -> None:
    sound, picture = tmp_path / "a.png", tmp_path / "b.wav"
    sound.write_bytes(wav())
    picture.write_bytes(png())
    records.check_media([Medium(sound, "audio", "row 0"), Medium(picture, "image", "row 0")])
    with pytest.raises(DataError, match=r"a\.png: audio/wav, expected an image"):
        records.check_media([Medium(sound, "image", "row 0")])
    listed = [Medium(sound, "audio", "row 0"), Medium(sound, "audio", "row 1")]
    before = records.sizes_of(listed, tmp_path)
    assert before == f"a.png\0{sound.stat().st_size}".encode()


def test_embedded_media_are_written_once(tmp_path: Path) -> None:
    first = records.write_embedded([b"one", b"two", b"one"], tmp_path / "media")
    stamps = [path.stat().st_mtime_ns for path in first]
    assert [path.read_bytes() for path in first] == [b"one", b"two", b"one"]
    again = records.write_embedded([b"one", b"two"], tmp_path / "media")
    assert again == first[:2]
    assert [path.stat().st_mtime_ns for path in again] == stamps[:2]
    first[0].write_bytes(b"cut")  # of another length: not taken for whole
    assert records.write_embedded([b"on"], tmp_path / "media")[0].read_bytes() == b"on"


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_one_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    try:
        assert records.json_rows(path, "rows")
    except DataError as fault:
        assert "any.json: " in str(fault)


class Shown(msgspec.Struct, frozen=True):
    question_id: str
    image: records.Embedded


def test_shards_are_read_in_order_with_the_media_in_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data/test-\*.parquet: not there; expected shards"):
        records.parquet_records(tmp_path, "data/test-*.parquet", Shown, "shards")
    (tmp_path / "data").mkdir()
    for number in (1, 0):
        image = {"bytes": png(), "path": None}
        table = pyarrow.table({"question_id": [number], "image": [image], "more": [1]})
        pyarrow.parquet.write_table(table, tmp_path / "data" / f"test-{number}.parquet")
    found = records.parquet_records(tmp_path, "data/test-*.parquet", Shown, "shards", "question_id")
    assert [row.question_id for row in found] == ["0", "1"]
    assert found[0].image.content == png()
    (tmp_path / "data" / "train-0.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"train-0.parquet: not a file of this data set"):
        records.parquet_records(tmp_path, "data/test-*.parquet", Shown, "shards")
