from pathlib import Path

import pytest

from eval_anything.errors import DataError
from eval_anything.judged.labels import read_labels


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_numbers_of_several_people_by_sample_and_task(tmp_path: Path) -> None:
    found = read_labels(
        write(
            tmp_path,
            '{"id": "a", "label": 3, "who": "x"}',
            '{"id": "a", "label": 4.5}',
            '{"id": "a", "task": "amu", "label": 9}',
            "",
            '{"id": 7, "label": 1}',
        )
    )
    assert found.of("mia_bench", "a", "digest") == [3, 4.5]
    assert found.of("amu", "a", "digest") == [9]
    assert found.of("amu", "7", "digest") == [1]
    assert found.of("amu", "b", "digest") == []
    assert found.range() == (1, 9)
    assert found.unused({("mia_bench", "a")}) == ["amu: a", "7"]


def test_preferences_are_numbers_with_a_tie_between(tmp_path: Path) -> None:
    lines = ('{"id": "a", "label": "A"}', '{"id": "b", "label": "B"}', '{"id": "c", "label": "tie"}')
    found = read_labels(write(tmp_path, *lines))
    assert found.preferences
    assert [found.of("t", sample, "") for sample in "abc"] == [[1], [0], [0.5]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (('{"id": "a"}',), "line 1: expected .*label"),
        (('{"id": "a", "label": 1}', '{"id": "b", "label": "C"}'), "line 2"),
        (('{"id": "a", "label": 1}', '{"id": "b", "label": "A"}'), "line 2: a preference, and a number"),
        (('{"id": "a", "label": true}',), "line 1"),
        (('{"id": "a", "label": NaN}',), "line 1"),
        (("[" * 100_000,), "line 1"),
        (("",), "no label"),
    ],
)
def test_what_is_no_label_is_named_by_its_line(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labels(write(tmp_path, *lines))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_labels(tmp_path / "none.jsonl")
