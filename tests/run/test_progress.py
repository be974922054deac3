import io

from eval_anything.run.progress import Progress
from eval_anything.values import Response, Score, Usage

DONE = Score(value=1.0, state="scored", usage=Usage(cost_usd=0.25))


def test_the_line_says_done_rate_errors_and_cost() -> None:
    with Progress(4, stream=None) as progress:
        progress.resumed()
        progress.responded(Response(usage=Usage(cost_usd=0.5)))
        progress.scored(DONE)
        progress.responded(Response(state="error"))
        progress.scored(Score(value=None, state="no_response"))
        progress.responded(Response(state="truncated"))
        progress.scored(Score(value=None, state="judge_error"))
        line = progress.line()
    for words in ("4/4", "1 from before", "2 errors", "1 truncated", "$0.7500"):
        assert words in line


def test_output_that_is_no_terminal_gets_plain_lines() -> None:
    stream = io.StringIO()
    with Progress(1, stream=stream) as progress:
        progress.responded(Response())
        progress.scored(DONE)
    assert stream.getvalue().startswith("1/1 ")
    assert "\x1b" not in stream.getvalue()
