import io

from eval_anything.run.progress import Progress, Starting
from eval_anything.values import Response, Score, Spent, Usage

DONE = Score(value=1.0, state="scored")


def test_the_line_says_done_rate_errors_and_cost() -> None:
    spent = Spent()
    spent.add("t", "model", Usage(cost_usd=0.5))
    spent.add("t", "judge", Usage(cost_usd=0.25))
    with Progress(4, stream=None, spent=spent) as progress:
        progress.resumed()
        progress.responded(Response())
        progress.scored(DONE)
        progress.responded(Response(state="error"))
        progress.scored(Score(value=None, state="no_response"))
        progress.responded(Response(state="truncated"))
        progress.scored(Score(value=None, state="judge_error"))
        line = progress.line()
    for words in ("4/4", "1 from before", "2 errors", "1 truncated", "$0.75"):
        assert words in line


def test_output_that_is_no_terminal_gets_plain_lines() -> None:
    stream = io.StringIO()
    with Progress(1, stream=stream) as progress:
        progress.responded(Response())
        progress.scored(DONE)
    assert stream.getvalue().startswith("1/1 ")
    assert "\x1b" not in stream.getvalue()


def test_what_is_not_known_of_the_cost_is_not_left_out() -> None:
    spent = Spent()
    with Progress(4, stream=None, spent=spent) as progress:
        assert "$" not in progress.line()
        spent.add("t", "model", Usage(unpriced=1))
        assert "cost not known" in progress.line()
        spent.add("t", "judge", Usage(cost_usd=0.002))
        assert "at least $0.0020" in progress.line()


def test_a_model_that_changes_is_told_at_once() -> None:
    stream, spent = io.StringIO(), Spent()
    with Progress(3, stream=stream, spent=spent) as progress:
        for name in ("one (fp_1)", "one (fp_1)", "one (fp_2)"):
            spent.add("t", "model", Usage(served={"openai/m": {name: 1}}))
            progress.responded(Response())
        assert stream.getvalue().count("openai/m (model) changed under way") == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_start_is_told_stage_by_stage_where_nobody_watches() -> None:
    stream = io.StringIO()
    with Starting(stream) as starting:
        for said in ("m: loading weights, 0 %", "m: loading weights, 50 %", "m: ready", "m: ready"):
            starting.tell(said)
    starting.tell("m: left a server")
    assert [line.partition(" (")[0] for line in stream.getvalue().splitlines()] == [
        "m: loading weights, 0 %",
        "m: ready",
        "m: left a server",
    ]


def test_a_start_is_one_live_line_on_a_terminal_and_its_end_stays() -> None:
    stream = Terminal()
    with Starting(stream) as starting:
        starting.tell("m: loading weights, 0 %")
        starting.tell("m: ready")
    assert "m: ready (" in stream.getvalue().splitlines()[-1]
    starting.tell("m: left a server")
    assert stream.getvalue().endswith("\nm: left a server\n")


def test_a_start_of_which_nothing_is_told_shows_nothing() -> None:
    for stream in (io.StringIO(), Terminal()):
        with Starting(stream):
            pass
        assert stream.getvalue() == ""
