"""The metrics file and the line of progress."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from eval_anything.errors import DataError, RunConflict
from eval_anything_train.metrics import FILE, Metrics, read_metrics
from eval_anything_train.progress import Progress


def written(folder: Path, steps: int) -> Metrics:
    metrics = Metrics(folder)
    for step in range(1, steps + 1):
        metrics.append({"step": step, "loss": 1 / step, "skipped": step % 2})
    return metrics


def test_lines_are_there_as_soon_as_they_are_written(tmp_path: Path) -> None:
    metrics = written(tmp_path, 3)
    assert [line["step"] for line in read_metrics(tmp_path / FILE)] == [1, 2, 3]
    assert (metrics.last["step"], metrics.skipped) == (3, 2)
    metrics.close()


def test_steps_that_will_be_done_again_are_cut_off(tmp_path: Path) -> None:
    written(tmp_path, 5).close()
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"step": 6, "lo')
    metrics = Metrics(tmp_path)
    metrics.cut(3)
    assert (metrics.last, metrics.skipped) == ({"step": 3, "loss": 1 / 3, "skipped": 1}, 2)
    metrics.append({"step": 4, "loss": 0.0})
    assert [line["step"] for line in read_metrics(tmp_path / FILE)] == [1, 2, 3, 4]
    metrics.cut(0)
    assert read_metrics(tmp_path / FILE) == [] and metrics.skipped == 0
    metrics.close()


def test_lines_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    metrics = written(tmp_path, 2)
    with pytest.raises(DataError, match="ends at step 2, expected 4"):
        metrics.cut(4)
    metrics.close()
    (tmp_path / FILE).write_text('{"step": 1}\n{"loss": 2}\n')
    with pytest.raises(DataError, match="line 2"):
        read_metrics(tmp_path / FILE)


def test_a_number_that_is_none_can_be_read_by_any_json_reader(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.append({"step": 1, "margin": float("nan")})
    metrics.close()
    assert read_metrics(tmp_path / FILE) == [{"step": 1, "margin": None}]


def test_a_second_writer_is_kept_out(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    with pytest.raises(RunConflict, match="another process"):
        Metrics(tmp_path)
    metrics.close()
    Metrics(tmp_path).close()


def test_progress_is_a_line_every_so_many_steps() -> None:
    stream = io.StringIO()
    with Progress(6, done=1, log_every=2, stream=stream) as progress:
        for step in range(2, 7):
            progress.stepped({"step": step, "loss": 0.5, "tokens": 100, "seconds": 0.5, "skipped": 1})
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["2/6", "4/6", "6/6", "6/6"]
    assert "1 from before" in lines[0] and "loss 0.5000" in lines[0] and "200 tokens/s" in lines[0]
    assert " left" in lines[0] and " left" not in lines[-1] and lines[-1].endswith("5 skipped")
