"""Tool calling over several turns: what models get wrong, what tools get wrong, and every limit."""

import asyncio
import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agent_lab import Lab, Scripted, call, calling, calls, request, results
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.openai_server import OpenAIServer, Reply, completion, error, in_thread

from eval_anything.agents.conversation import Limits
from eval_anything.agents.media.openai_routes import ImagesModel, ImagesOptions, SpeechModel, SpeechOptions
from eval_anything.agents.native import NativeAgent
from eval_anything.errors import Forbidden, ServerFault, UsageError
from eval_anything.models.fake import FakeModel, FakeOptions
from eval_anything.models.openai.provider import OpenAIModel, OpenAIOptions
from eval_anything.values import (
    Audio,
    Capabilities,
    Image,
    Message,
    Params,
    Request,
    Response,
    Text,
    ToolCall,
)

IMAGE, AUDIO = call("generate_image", prompt="a fox"), call("generate_audio", prompt="barking")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def agent(**limits: float) -> NativeAgent:
    return NativeAgent(msgspec.convert(limits, Limits))


def errors(response: Response) -> list[str | None]:
    return [result.error for result in results(response)]


def test_calls_are_made_and_the_answer_is_the_last_text_and_all_media(lab: Lab) -> None:
    model = Scripted([calling(IMAGE, text="One moment."), calling(AUDIO), "A fox, seen and heard."])
    answer = lab.respond(agent(), request(), model)
    assert (answer.text, [type(p) for p in answer.parts]) == ("A fox, seen and heard.", [Text, Image, Audio])
    assert answer.selected == ("text", "image", "audio")
    assert (answer.state, answer.finish_reason, answer.fault) == ("ok", "stop", None)
    assert [m.role for m in answer.trace] == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert answer.parts[1].artifact.lineage.prompt == "a fox"
    assert (answer.usage.requests, answer.usage.input_tokens, answer.usage.cost_usd) == (3, 30, 1.5)
    assert (answer.tool_usage.requests, answer.tool_usage.images_out) == (2, 1)


def test_the_model_is_offered_the_tools_of_the_task_alone(lab: Lab) -> None:
    model = Scripted(["hi"])
    lab.respond(agent(), request(outputs=("text", "image")), model)
    asked = model.asked[0]
    assert [tool.name for tool in asked.tools] == ["generate_image"]
    assert asked.output_modalities == ("text",)
    assert [m.role for m in asked.messages] == ["system", "user"]


def test_a_task_that_asks_for_text_alone_is_asked_plainly(lab: Lab) -> None:
    model = Scripted(["hi"])
    answer = lab.respond(agent(), request(outputs=["text"]), model)
    assert (answer.text, model.asked[0].tools, len(model.asked[0].messages)) == ("hi", (), 1)


def test_results_are_told_in_words_and_shown_where_the_model_can_see(lab: Lab) -> None:
    script = [calling(IMAGE, AUDIO), "done"]
    blind = Scripted(script)
    lab.respond(agent(), request(), blind)
    told = [part for message in blind.asked[1].messages[-2:] for part in message.parts]
    assert [len(result.parts) for result in told] == [1, 1]
    assert told[0].parts[0].text.startswith("made: image/png 96x64, id ")
    assert told[1].parts[0].text.startswith("made: audio/wav 0.4 s, id ")
    seeing = Scripted(script, Capabilities(inputs=("text", "image"), tools=True))
    answer = lab.respond(agent(), request(), seeing)
    shown = [part for message in seeing.asked[1].messages[-2:] for part in message.parts]
    assert [len(result.parts) for result in shown] == [2, 1]
    assert [len(result.parts) for result in results(answer)] == [2, 2]


def test_no_more_images_are_shown_than_the_model_can_take(lab: Lab) -> None:
    two = [call("generate_image", prompt=p) for p in ("fox", "owl")]
    model = Scripted(
        [calling(*two), "done"], Capabilities(inputs=("text", "image"), tools=True, max_images=1)
    )
    answer = lab.respond(agent(), request(), model)
    shown = [part for message in model.asked[1].messages[-2:] for part in message.parts]
    assert [len(result.parts) for result in shown] == [2, 1]
    assert answer.notes == ("2 media of one kind were made: image",)


def test_calls_of_one_turn_are_made_at_the_same_time(lab: Lab) -> None:
    slow = {name: FakeModel("echo", FakeOptions(delay_s=0.3)) for name in ("image", "audio")}
    began = time.monotonic()
    answer = lab.respond(agent(), request(), Scripted([calling(IMAGE, AUDIO), "done"]), **slow)
    assert len(answer.parts) == 3
    assert time.monotonic() - began < 0.55


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (call("draw_image"), "unknown tool 'draw_image'; did you mean 'generate_image'?"),
        (call(""), "unknown tool ''"),
        (call("generate_image", "{not json"), "generate_image: the arguments are not JSON"),
        (call("generate_image", ""), "generate_image: the arguments are not JSON"),
        (call("generate_image", "[" * 20_000), "generate_image: "),
        (call("generate_image", '{"prompt": "\\ud800"}'), "generate_image: the arguments are not JSON"),
        (call("generate_image", '["a fox"]'), "wrong arguments: Expected `object`, got `array`"),
        (call("generate_image", "{}"), "wrong arguments: Object missing required field `prompt`"),
        (call("generate_image", '{"prompt": 3}'), "Expected `str`, got `int` - at `$.prompt`"),
        (call("generate_image", '{"prompt": "  "}'), "generate_image: the prompt is empty"),
        (call("generate_image", prompt="x" * 2001), "has 2001 characters; 2000 are the most"),
    ],
)
def test_a_wrong_call_is_explained_and_the_model_may_try_again(lab: Lab, wrong: ToolCall, told: str) -> None:
    model = Scripted([calling(wrong), calling(IMAGE), "done"])
    answer = lab.respond(agent(), request(), model)
    assert (answer.state, answer.selected) == ("ok", ("text", "image"))
    first, second = errors(answer)
    assert first is not None
    assert told in first
    assert second is None
    assert [result.wrong for result in results(answer)] == [True, False]
    assert calls(answer)[0].arguments == wrong.arguments
    assert model.asked[1].messages[-1] == Message("tool", (results(answer)[0],))


def test_a_wrong_call_is_sent_back_in_a_form_that_servers_read(lab: Lab) -> None:
    model = Scripted([calling(call("what is this?", "{not json")), "done"])
    lab.respond(agent(), request(), model)
    sent = model.asked[1].messages[-2].parts[0]
    assert (sent.name, sent.arguments) == ("unknown_tool", "{}")


def test_ids_are_the_harness_own_as_models_repeat_theirs_or_give_none(lab: Lab) -> None:
    same = [call("generate_image", prompt=p, id="") for p in ("fox", "owl")]
    model = Scripted([calling(*same), calling(call("generate_image", prompt="bear", id="")), "done"])
    answer = lab.respond(agent(), request(), model)
    assert [result.call_id for result in results(answer)] == ["call_1", "call_2", "call_3"]
    assert len({part.artifact.sha256 for part in answer.parts[1:]}) == 3


def test_surrogates_in_a_call_do_not_reach_the_journal(lab: Lab) -> None:
    answer = lab.respond(agent(), request(), Scripted([calling(call("a\ud800", '"\udc00')), "done"]))
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Response) == answer


def test_the_same_call_for_the_third_time_ends_the_answer(lab: Lab) -> None:
    model = Scripted(lambda _: calling(IMAGE))
    answer = lab.respond(agent(), request(), model)
    assert (answer.state, answer.finish_reason) == ("truncated", "loop")
    assert [type(part) for part in answer.parts] == [Image, Image]
    assert errors(answer) == [None, None, "not made: the same call again and again"]
    assert len(model.asked) == 3


def test_a_wrong_call_repeated_ends_the_answer_too(lab: Lab) -> None:
    answer = lab.respond(agent(), request(), Scripted(lambda _: calling(call("nothing", "nonsense"))))
    assert (answer.state, answer.finish_reason, answer.selected) == ("truncated", "loop", ())


def test_endless_turns_end(lab: Lab) -> None:
    model = Scripted(lambda asked: calling(call("generate_image", prompt=str(len(asked.messages)))))
    answer = lab.respond(agent(max_turns=4), request(), model)
    assert (answer.state, answer.finish_reason) == ("truncated", "max_turns")
    assert (len(model.asked), len(answer.parts)) == (4, 4)


def test_fifty_calls_at_once_are_cut_at_the_limit(lab: Lab) -> None:
    fifty = [call("generate_image", prompt=f"fox {n}") for n in range(50)]
    maker = FakeModel("echo", FakeOptions())
    answer = lab.respond(agent(), request(), Scripted([calling(*fifty, text="Foxes:")]), image=maker)
    assert (answer.state, answer.finish_reason) == ("truncated", "max_calls")
    assert (len(answer.parts), answer.text) == (13, "Foxes:")
    assert answer.tool_usage.requests == 12
    told = errors(answer)
    assert told[:13] == [None] * 12 + ["not made: 12 calls are the most"]
    assert told[13:] == ["not made: the answer was ended (max_calls)"] * 37
    prompts = [part.artifact.lineage.prompt for part in answer.parts[1:]]
    assert prompts == [f"fox {n}" for n in range(12)]


def test_a_tool_that_hangs_ends_the_answer_and_what_was_made_is_kept(lab: Lab) -> None:
    hangs = FakeModel("echo", FakeOptions(delay_s=60))
    answer = lab.respond(
        agent(timeout_s=0.5), request(), Scripted([calling(IMAGE, AUDIO, text="Hear:")]), audio=hangs
    )
    assert (answer.state, answer.finish_reason) == ("truncated", "timeout")
    assert [type(part) for part in answer.parts] == [Text, Image]
    assert answer.selected == ("text", "image", "audio")
    assert errors(answer) == [None, "no result before the time limit of the answer"]


def test_a_model_that_hangs_at_once_is_an_outage(lab: Lab) -> None:
    answer = lab.respond(agent(timeout_s=0.1), request(), Scripted(lambda _: asyncio.sleep(60)))
    assert answer.state == "error"
    assert answer.fault is not None
    assert answer.fault.kind == "transport"


@pytest.mark.parametrize(
    ("reply", "state", "kinds"),
    [
        (Response(parts=(Text("No."),), state="refused", finish_reason="content_filter"), "refused", 2),
        (ServerFault("down"), "error", 1),
        (Response(parts=(Text("A fox is"),), state="truncated", finish_reason="length"), "truncated", 2),
    ],
)
def test_what_was_made_before_the_model_stopped_is_kept(lab: Lab, reply: Any, state: str, kinds: int) -> None:
    answer = lab.respond(agent(), request(), Scripted([calling(IMAGE), reply]))
    assert (answer.state, len(answer.parts)) == (state, kinds)
    assert isinstance(answer.parts[-1], Image)
    assert (answer.fault is not None) == (state == "error")
    assert len(calls(answer)) == 1


def test_a_call_cut_at_the_token_limit_is_explained(lab: Lab) -> None:
    cut = msgspec.structs.replace(calling(call("generate_image", '{"prompt": "a f')), state="truncated")
    answer = lab.respond(agent(), request(), Scripted([cut, calling(IMAGE), "done"]))
    assert (answer.state, answer.selected) == ("ok", ("text", "image"))


def test_a_missing_modality_is_asked_for_once(lab: Lab) -> None:
    modalities = ("text", "image", "audio")
    model = Scripted(["Only words.", calling(IMAGE), "Still no sound."])
    answer = lab.respond(agent(), request(outputs=modalities, required=modalities), model)
    assert "has to hold: words, a picture, a sound" in model.asked[0].messages[0].parts[0].text
    reminder = model.asked[1].messages[-1]
    assert reminder.role == "user"
    assert reminder.parts[0].text.startswith("The answer still lacks: a picture, a sound")
    assert reminder in answer.trace
    assert (answer.state, answer.selected, answer.text) == ("ok", ("text", "image"), "Still no sound.")
    assert len(model.asked) == 3
    assert answer.notes == ("the model was reminded of: image, audio",)


def test_no_reminder_where_no_turn_is_left(lab: Lab) -> None:
    model = Scripted(["Only words."])
    asked = request(outputs=("text", "image"), required=("text", "image"))
    assert lab.respond(agent(max_turns=1), asked, model).state == "ok"


def test_one_medium_alone_leaves_the_words_in_the_trace(lab: Lab) -> None:
    answer = lab.respond(
        agent(), request(outputs=["image"], required=["image"]), Scripted([calling(IMAGE), "Here you are."])
    )
    assert ([type(part) for part in answer.parts], answer.selected) == ([Image], ("image",))
    assert answer.trace[-1].parts == (Text("Here you are."),)


def test_a_required_medium_that_the_tool_failed_to_make_is_no_answer_of_the_models(lab: Lab) -> None:
    model = Scripted([calling(IMAGE), "I could not.", "I really could not."])
    asked = request(outputs=("text", "image"), required=("text", "image"))
    answer = lab.respond(agent(), asked, model, image=Scripted(lambda _: "I draw no foxes."))
    assert answer.state == "error"
    assert answer.fault is not None
    assert answer.fault.kind == "tool"
    assert answer.fault.message == "generate_image: no image came back: I draw no foxes."
    assert (answer.text, answer.selected) == ("I really could not.", ("text", "image"))


def ten_hours() -> bytes:
    """Two black frames, ten hours apart."""
    import av
    import numpy as np

    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), dtype=np.uint8), format="rgb24")
        for second in (0, 36_000):
            frame.pts = second
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return sink.getvalue()


def test_a_tool_that_works_the_second_time_is_no_outage(lab: Lab) -> None:
    maker = FakeModel("echo", FakeOptions(fault="bad_request", fault_rate=0.5))
    prompts = [call("generate_image", prompt=f"fox {n}") for n in range(8)]
    model = Scripted([calling(*prompts), "done"])
    answer = lab.respond(
        agent(), request(outputs=("text", "image"), required=("text", "image")), model, image=maker
    )
    assert 0 < sum(error is not None for error in errors(answer)) < 8
    assert (answer.state, answer.fault) == ("ok", None)


def test_asking_for_the_same_in_another_turn_draws_again(lab: Lab) -> None:
    answer = lab.respond(agent(), request(), Scripted([calling(IMAGE), calling(IMAGE), "two foxes"]))
    assert len({part.artifact.sha256 for part in answer.parts[1:]}) == 2


def silent_wav() -> bytes:
    return b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0"


@pytest.mark.parametrize(
    ("modality", "bad"),
    [
        ("image", lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 64),
        ("image", lambda: b"<html>Bad Gateway</html>"),
        ("audio", silent_wav),
        ("video", ten_hours),
    ],
)
def test_a_tool_that_makes_broken_media(lab: Lab, modality: Any, bad: Any) -> None:
    def make(_: Request) -> Response:
        return Response(parts=(lab.store.part(lab.store.add_bytes(bad(), modality, name="made")),))

    maker = Scripted(make, Capabilities(outputs=(modality,)))
    name = f"generate_{modality}"
    model = Scripted([calling(call(name)), "It failed."])
    answer = lab.respond(agent(), request(outputs=("text", modality)), model, **{modality: maker})
    assert (answer.state, answer.parts) == ("ok", (Text("It failed."),))
    assert answer.selected == ("text", modality)
    assert errors(answer)[0].startswith("media: made: ")
    assert answer.notes[0].startswith(f"{name} failed: media: made: ")


def b64(content: bytes) -> bytes:
    return json.dumps({"data": [{"b64_json": base64.b64encode(content).decode()}]}).encode()


@pytest.mark.parametrize(
    ("modality", "reply", "told"),
    [
        ("image", Reply(b"<html>Bad Gateway</html>"), "garbage: "),
        ("image", Reply(b64(b"<html>Bad Gateway</html>")), "garbage: "),
        ("image", Reply(b'{"data": []}'), "garbage: "),
        ("image", error(400, "not a prompt that we draw"), "bad_request: "),
        ("audio", Reply(silent_wav(), headers={"Content-Type": "audio/wav"}), "garbage: "),
        ("audio", Reply(b"<html>", headers={"Content-Type": "audio/wav"}), "garbage: "),
    ],
)
def test_a_media_server_that_sends_broken_media(lab: Lab, modality: Any, reply: Reply, told: str) -> None:
    name = f"generate_{modality}"
    with in_thread(OpenAIServer(reply)) as server:
        kind, options = {"image": (ImagesModel, ImagesOptions), "audio": (SpeechModel, SpeechOptions)}[
            modality
        ]
        maker = kind("m", options(base_url=server.url))
        model = Scripted([calling(call(name)), "It failed."])
        answer = lab.respond(agent(), request(), model, **{modality: maker})
    assert (answer.state, answer.parts, answer.selected) == ("ok", (Text("It failed."),), ("text", modality))
    assert errors(answer)[0].startswith(told)
    assert model.asked[1].messages[-1].parts[0].error == errors(answer)[0]


names = st.one_of(st.sampled_from(["generate_image", "generate_audio"]), st.text(max_size=5))
arguments = st.one_of(
    st.text(max_size=20),
    st.sampled_from(['{"prompt": "a"}', '{"prompt": "b"}', '{"prompt": null}', "[]", "{"]),
)
turns = st.lists(st.builds(ToolCall, st.text(max_size=2), names, arguments), max_size=5)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(turns, min_size=1, max_size=4), st.sets(st.sampled_from(["text", "image", "audio"])))
def test_whatever_a_model_calls_ends_in_a_stated_state(lab: Lab, script: Any, required: Any) -> None:
    asked = request(required=sorted(required))
    replies = iter([calling(*turn, text="so") for turn in script])
    answer = lab.respond(agent(), asked, Scripted(lambda _: next(replies, "done")))
    assert answer.state in ("ok", "truncated")
    assert (answer.state == "truncated") == (answer.finish_reason in ("loop", "max_calls", "max_turns"))
    assert [result.call_id for result in results(answer)] == [call.id for call in calls(answer)]
    made = [result.parts[1] for result in results(answer) if result.error is None]
    assert made == [part for part in answer.parts if not isinstance(part, Text)]
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Response) == answer


def test_a_key_that_is_refused_stops_the_run_whoever_holds_it(lab: Lab) -> None:
    with pytest.raises(Forbidden, match="expired"):
        lab.respond(
            agent(), request(), Scripted([calling(IMAGE, AUDIO)]), image=Scripted([Forbidden("expired")])
        )


def test_a_model_without_tool_calling_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match="fake/echo cannot call tools; --agent text-protocol"):
        agent().check(Capabilities(), "fake/echo")


def test_over_a_socket_with_parallel_calls_and_media_shown(lab: Lab) -> None:
    def script(received: Any) -> Any:
        messages = received.body["messages"]
        if messages[-1]["role"] == "user" and len(messages) == 2:
            made = [
                {"id": "a", "type": "function", "function": {"name": n, "arguments": '{"prompt": "fox"}'}}
                for n in ("generate_image", "generate_audio")
            ]
            return completion(None, "tool_calls", tool_calls=made)
        return completion("A fox.")

    with in_thread(OpenAIServer(script)) as server:
        model = OpenAIModel("m", OpenAIOptions(base_url=server.url))
        answer = lab.respond(agent(), request(params=Params(seed=3)), model)
        first, second = (received.body for received in server.calls)
    assert [tool["function"]["name"] for tool in first["tools"]] == ["generate_image", "generate_audio"]
    roles = [message["role"] for message in second["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert [m["tool_call_id"] for m in second["messages"] if m["role"] == "tool"] == ["call_1", "call_2"]
    kinds = [item["type"] for item in second["messages"][-1]["content"]]
    assert kinds == ["text", "image_url", "text", "input_audio"]
    assert (answer.state, [type(p) for p in answer.parts]) == ("ok", [Text, Image, Audio])
    assert json.loads(calls(answer)[0].arguments) == {"prompt": "fox"}


@pytest.mark.parametrize(
    "garbage",
    [
        {"tool_calls": [{"id": 7, "type": "function", "function": {"name": "x", "arguments": "{}"}}]},
        {"tool_calls": [{"type": "function"}]},
        {"tool_calls": "generate_image"},
    ],
)
def test_garbage_from_the_model_mid_way_ends_in_an_error_with_the_evidence(lab: Lab, garbage: Any) -> None:
    good = [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "generate_image", "arguments": '{"prompt": "x"}'},
        }
    ]

    def script(received: Any) -> Any:
        return completion(None, tool_calls=good) if received.number == 0 else completion(None, **garbage)

    with in_thread(OpenAIServer(script)) as server:
        answer = lab.respond(agent(), request(), OpenAIModel("m", OpenAIOptions(base_url=server.url)))
    assert answer.state == "error"
    assert answer.fault is not None
    assert answer.fault.kind == "garbage"
    assert [type(part) for part in answer.parts] == [Image]
    assert len(calls(answer)) == 1


def test_in_a_document_media_stand_where_they_were_called_for(lab: Lab) -> None:
    fox, hen = call("generate_image", prompt="a fox"), call("generate_image", prompt="a hen")
    model = Scripted([calling(fox, text="A fox wakes."), calling(hen, text="It meets a hen."), "The end."])
    asked = request(outputs=("text", "image"), required=("image",), interleaved=True)
    answer = lab.respond(agent(), asked, model)
    assert [p.text if isinstance(p, Text) else p.artifact.lineage.prompt for p in answer.parts] == [
        "A fox wakes.",
        "a fox",
        "It meets a hen.",
        "a hen",
        "The end.",
    ]
    assert answer.selected == ("text", "image")
    assert answer.notes == ()
    assert "words and media take turns" in model.asked[0].messages[0].parts[0].text


def test_a_document_may_end_with_a_picture(lab: Lab) -> None:
    model = Scripted([calling(IMAGE, text="A fox."), ""])
    asked = request(outputs=("text", "image"), required=("image",), interleaved=True)
    answer = lab.respond(agent(), asked, model)
    assert [type(part) for part in answer.parts] == [Text, Image]
    assert answer.selected == ("text", "image")
