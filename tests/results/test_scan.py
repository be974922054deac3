from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eval_anything.errors import DataError
from eval_anything.results.scan import Scan, scan
from eval_anything.stores.journal import read_row_at
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.values import Message, Response, Text, ToolCall, ToolResult, Usage, together


def scanned(run: Any) -> Scan:
    run.save()
    return scan(run.journal, (run.plan(),))


def test_offsets_lead_to_the_latest_rows(run: Any) -> None:
    run.scored("a", 1)
    run.scored("b", 2, repeat=1)
    run.scored("a", 3)
    records = {(name, repeat): record for name, repeat, record in scanned(run).tasks["amu"]}
    assert set(records) == {("a", 0), ("b", 1)}
    response = read_row_at(run.journal, records["a", 0].response_at)
    score = read_row_at(run.journal, records["a", 0].score_at)
    assert isinstance(response, ResponseRow) and response.id == "a"
    assert response == msgspec.json.decode(run.lines[4], type=ResponseRow)
    assert isinstance(score, ScoreRow) and score.score.value == 3


def test_a_new_response_has_no_score_yet(run: Any) -> None:
    run.scored("a", 1)
    run.response("a")
    ((_, _, record),) = scanned(run).tasks["amu"]
    assert (record.score_at, record.score_state, record.value) == (-1, None, None)


def test_ids_and_repeats_are_never_mixed_up(run: Any) -> None:
    for name, repeat in [("a", 0), ("a", 1), ("1\0a", 0), ("('a', 1)", 0), ("", 0), ("", 1)]:
        run.response(name, repeat=repeat)
    keys = [(name, repeat) for name, repeat, _ in scanned(run).tasks["amu"]]
    assert keys == [("a", 0), ("a", 1), ("1\0a", 0), ("('a', 1)", 0), ("", 0), ("", 1)]


def test_usage_is_summed_over_all_rows(run: Any) -> None:
    run.response("a", usage=Usage(requests=1, audio_s_in=0.5, cost_usd=0.25))
    run.response("a", usage=Usage(requests=2, audio_s_in=1.0))
    run.response("a", usage=Usage(), fingerprint="other")
    task = scanned(run).tasks["amu"]
    assert task.model.usage() == Usage(requests=3, audio_s_in=1.5, cost_usd=0.25)
    assert task.judge.usage() == Usage()


def test_one_empty_answer_of_several_is_counted_unless_the_whole_failed(run: Any) -> None:
    said, silent, failed = Response(parts=(Text("x"),)), Response(parts=(Text(" "),)), Response(state="error")
    for name, answers in (("a", (said, said)), ("b", (said, silent)), ("c", (failed, silent))):
        run.response(name, **msgspec.structs.asdict(together(answers)))
    found = {name: record.empty for name, _, record in scanned(run).tasks["amu"]}
    assert found == {"a": False, "b": True, "c": False}


def test_a_price_of_nothing_is_not_an_unknown_price(run: Any) -> None:
    run.response("a", usage=Usage(cost_usd=0.0))
    assert scanned(run).tasks["amu"].model.usage().cost_usd == 0.0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_last_line_cut_anywhere_is_left_out(run: Any, cut: int) -> None:
    run.scored("a", 1)
    run.lines[-1] = run.lines[-1][:-cut]
    found = scanned(run)
    assert found.journal_bytes == len(run.lines[0])
    ((_, _, record),) = found.tasks["amu"]
    assert record.score_state is None


DEEP = b'{"kind":"score","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"


@pytest.mark.parametrize("line", [b"{}\n", b"\n", b"\x00\xff\n", b'{"kind":"verdict"}\n', b"[1\n", DEEP])
def test_damage_is_named_with_its_line(run: Any, line: bytes) -> None:
    run.scored("a", 1)
    run.lines.append(line)
    run.scored("b", 1)
    with pytest.raises(DataError, match=r"journal\.jsonl, line 3: damaged"):
        scanned(run)


def test_tool_calls_and_their_errors_are_those_of_the_latest_response(run: Any) -> None:
    call, failed, made = (
        ToolCall("1", "draw", "{}"),
        ToolResult("1", error="down"),
        ToolResult("1", (Text("x"),)),
    )
    wrong = ToolResult("1", error="unknown tool 'draw'", wrong=True)
    run.response("a", trace=(Message("assistant", (Text("hm"), call, call)), Message("tool", (failed,))))
    run.response("a", trace=(Message("assistant", (call,)), Message("tool", (made, failed, wrong))))
    run.response("b", parts=(call,), tool_usage=Usage(requests=2))
    found = scanned(run).tasks["amu"]
    assert [(r.tool_calls, r.tool_errors, r.wrong_calls) for _, _, r in found] == [(1, 1, 1), (0, 0, 0)]
    assert found.tools.usage() == Usage(requests=2)
