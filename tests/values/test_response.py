import pytest

from eval_anything.values import Fault, Message, Response, Text, Usage, together


def test_the_worst_state_is_that_of_the_whole_and_brings_its_fault() -> None:
    ok, cut = Response(finish_reason="stop"), Response(state="truncated", finish_reason="length")
    refused, unasked = Response(state="refused"), Response(state="skipped", fault=Fault("missing", "none"))
    failed = Response(state="error", fault=Fault("server", "down"))
    assert (together((ok, ok)).state, together((ok, cut)).finish_reason) == ("ok", "length")
    assert together((refused, cut, ok)).state == "refused"
    assert together((refused, unasked)).fault == Fault("missing", "none")
    assert together((unasked, failed, refused)).fault == Fault("server", "down")


def test_what_the_answers_hold_and_consumed_is_put_together() -> None:
    turn = Message("assistant", (Text("hm"),))
    first = Response(
        parts=(Text("a"),),
        usage=Usage(requests=1, cost_usd=0.5),
        seconds=2.0,
        selected=("image",),
        notes=("resized", "cut"),
        trace=(turn,),
        tool_usage=Usage(images_out=1),
    )
    second = Response(
        parts=(Text("b"), Text("c")),
        usage=Usage(requests=2),
        seconds=5.0,
        cached=True,
        selected=("text",),
        notes=("cut",),
        model="m",
    )
    whole = together((first, second))
    assert whole.answers == (first, second)
    assert whole.text == "a\nb\nc"
    assert whole.usage == Usage(requests=3, cost_usd=0.5)
    assert whole.tool_usage == Usage(images_out=1)
    assert (whole.seconds, whole.cached) == (2.0, False)
    assert (whole.selected, whole.notes, whole.trace) == (("text", "image"), ("resized", "cut"), (turn,))
    assert whole.model == "m"


def test_no_answers_cannot_be_put_together() -> None:
    with pytest.raises(ValueError, match="empty"):
        together(())
