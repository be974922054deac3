import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.errors import DataError, RunConflict, StorageError
from eval_anything.stores.journal import Finished, Journal, read_rows
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.values import Fault, Message, Response, Sample, Score, Text


def response_row(number: int, text: str = "answer", state: str = "ok", fingerprint: str = "f") -> ResponseRow:
    fault = Fault("server", "down") if state == "error" else None
    return ResponseRow(
        task="t",
        id=str(number),
        repeat=0,
        fingerprint=fingerprint,
        time=0.0,
        sample=Sample(id=str(number), messages=(Message("user", (Text("q"),)),)),
        response=Response(parts=(Text(text),), state=state, fault=fault),
    )


def score_row(number: int, state: str = "scored", fingerprint: str = "f") -> ScoreRow:
    value = 1.0 if state == "scored" else None
    score = Score(value=value, state=state, judge="j")
    return ScoreRow(task="t", id=str(number), repeat=0, fingerprint=fingerprint, time=0.0, score=score)


@given(st.text())
def test_rows_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    rows = [response_row(1, text), score_row(1)]
    with Journal(path) as journal:
        for row in rows:
            journal.append(row)
    assert list(read_rows(path)) == rows


@pytest.mark.parametrize("kept", range(1, 40, 7))
def test_a_half_written_last_line_is_left_out_and_cut_off(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.jsonl"
    whole = msgspec.json.encode(response_row(1)) + b"\n"
    path.write_bytes(whole + msgspec.json.encode(response_row(2))[:kept])
    assert [row.id for row in read_rows(path)] == ["1"]
    with Journal(path) as journal:
        journal.append(response_row(3))
    assert [row.id for row in read_rows(path)] == ["1", "3"]


def test_damage_in_the_middle_is_named_not_skipped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"kind":"resp\n' + msgspec.json.encode(response_row(2)) + b"\n")
    with pytest.raises(DataError, match="line 1: damaged"):
        list(read_rows(path))


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path), pytest.raises(RunConflict, match="another process"):
        Journal(path)
    Journal(path).close()


def test_secrets_are_blanked_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, ['sk-"quoted"\\key']) as journal:
        journal.append(response_row(1, 'the key is sk-"quoted"\\key, said the server'))
    row = next(iter(read_rows(path)))
    assert isinstance(row, ResponseRow)
    assert row.response.text == "the key is ***, said the server"


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from stores.test_journal import response_row
from eval_anything.stores.journal import Journal
with Journal(Path({path!r})) as journal:
    number = 0
    while True:
        journal.append(response_row(number, "x" * 500))
        number += 1
        print(number, flush=True)
"""


def test_kill_9_loses_no_row_that_was_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    tests = str(Path(__file__).parents[1])
    code = WRITER.format(tests=tests, path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(200):
            counted = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    counted = int(rest[-1]) if rest else counted
    ids = [int(row.id) for row in read_rows(path)]
    assert ids[:counted] == list(range(counted))
    assert len(ids) - counted <= 1  # the one that was written and not yet counted


FILLER = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from stores.test_journal import response_row
from eval_anything.errors import StorageError
from eval_anything.stores.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
written = 0
with Journal(Path({path!r})) as journal:
    try:
        while True:
            journal.append(response_row(written, "x" * 300))
            written += 1
    except StorageError as fault:
        assert "cannot be written" in str(fault), fault
print(written)
"""


def test_a_full_disk_keeps_all_whole_rows_and_writing_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = FILLER.format(tests=str(Path(__file__).parents[1]), path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    written = int(done.stdout)
    assert written > 2
    assert path.stat().st_size <= 5000
    with Journal(path) as journal:
        journal.append(response_row(written))
    assert [int(row.id) for row in read_rows(path)] == list(range(written + 1))


def test_finished_knows_what_is_done_and_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for row in (
            response_row(1),
            score_row(1),
            response_row(2),  # not judged yet
            response_row(3, state="error"),
            score_row(3, "no_response"),
            response_row(4),
            score_row(4, "judge_error"),
            response_row(5),
            score_row(5, "unparsed"),
            response_row(6, fingerprint="other"),
            score_row(6, fingerprint="other"),
        ):
            journal.append(row)
    finished = Finished(path, {"t": "f"})
    scored = [n for n in range(1, 7) if finished.scored(("t", str(n), 0))]
    waiting = [n for n in range(1, 7) if n not in scored and finished.response(("t", str(n), 0)) is not None]
    assert scored == [1, 5]
    assert waiting == [2, 4]


def test_finished_reads_ten_thousand_samples_in_well_under_two_seconds(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lines = []
    for number in range(10_000):
        lines += [
            msgspec.json.encode(response_row(number, "x" * 400)),
            msgspec.json.encode(score_row(number)),
        ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    began = time.process_time()
    assert len(Finished(path, {"t": "f"})) == 10_000
    assert time.process_time() - began < 20  # a bound against a change of order, not a measurement


def test_an_unwritable_place_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        Journal(tmp_path / "no" / "such" / "folder" / "journal.jsonl")
