from eval_anything.run.masking import mask
from eval_anything.values import File, Message, Reasoning, Sample, Text

SAMPLE = Sample(
    id="1",
    messages=(
        Message("system", (File("/x.wav", "audio"),)),
        Message("user", (File("/x.png", "image"), File("/y.mp4", "video"), Text("q"), Reasoning("r"))),
    ),
)


def test_nothing_is_touched_where_all_is_allowed() -> None:
    assert mask(SAMPLE, ("text", "image", "audio", "video")) is SAMPLE


def test_what_is_not_allowed_is_dropped_and_recorded_and_empty_messages_go() -> None:
    masked = mask(SAMPLE, ("text", "image"))
    assert masked.masked == ("audio", "video")
    assert [m.role for m in masked.messages] == ["user"]
    assert masked.messages[0].parts == (File("/x.png", "image"), Text("q"), Reasoning("r"))


def test_further_requests_are_masked_like_the_first() -> None:
    further = ((Message("user", (File("/z.mp4", "video"), Text("again"))),), (Message("user", (Text("r"),)),))
    sample = Sample(id="1", messages=(Message("user", (Text("q"),)),), further=further)
    masked = mask(sample, ("text", "image"))
    assert masked.masked == ("video",)
    assert masked.messages == sample.messages
    assert masked.further == ((Message("user", (Text("again"),)),), further[1])
