from eval_anything.models.tally import count_usage, last_user_text
from eval_anything.values import Artifact, Audio, Image, Message, Request, Text, ToolResult, Video


def artifact(**fields):
    return Artifact(sha256="0" * 64, mime="video/mp4", bytes_size=1, **fields)


def test_counts_both_directions_and_tool_results():
    request = Request(
        messages=(
            Message("user", (Text("a"), Image(artifact()), Audio(artifact(duration_s=1.5)))),
            Message("tool", (ToolResult("1", (Image(artifact()), Video(artifact(duration_s=2.0)))),)),
        )
    )
    usage = count_usage(request, [Image(artifact()), Audio(artifact())], input_tokens=3, output_tokens=4)
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (1, 3, 4)
    assert (usage.images_in, usage.audio_s_in, usage.video_s_in) == (2, 1.5, 2.0)
    # A clip of unknown duration adds nothing.
    assert (usage.images_out, usage.audio_s_out, usage.video_s_out) == (1, 0.0, 0.0)


def test_last_user_text_passes_over_other_roles():
    messages = (
        Message("user", (Text("first"),)),
        Message("user", (Text("a"), Image(artifact()), Text("b"))),
        Message("assistant", (Text("c"),)),
    )
    assert last_user_text(Request(messages=messages)) == "a\nb"
    assert last_user_text(Request(messages=())) == ""
