import asyncio
import time

import pytest
from servers.media_files import png, wav

from eval_anything import options
from eval_anything.errors import GarbageReply, ModelError, TransportFault, UnknownName
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.fake import FakeModel, FakeOptions
from eval_anything.values import Audio, Image, Likelihood, Message, Params, Request, Text, ToolResult, Video


def fake(name="echo", **given):
    return FakeModel(name, options.parse(FakeOptions, given, "model fake"))


def asking(text="What is this?", **fields):
    return Request(messages=(Message("user", (Text(text),)),), **fields)


def ask(model, request, store=None):
    async def go():
        await model.start(ModelContext(store=store))
        return await model.generate(request)

    return asyncio.run(go())


def test_echo_says_what_it_was_given_in_order(tmp_path):
    store = ArtifactStore(tmp_path)
    image, audio = store.add_bytes(png(), "image"), store.add_bytes(wav(), "audio")
    request = Request(
        messages=(
            Message("user", (Audio(audio), Text("What is this?"), Image(image))),
            Message("tool", (ToolResult("1", (Image(image),)),)),
        )
    )
    response = ask(fake(), request)
    assert response.text == (
        f"You said: What is this?\nYou gave: audio {audio.sha256[:8]}, image {image.sha256[:8]}, "
        f"image {image.sha256[:8]}"
    )
    assert response.state == "ok"
    assert response.usage.requests == 1
    assert response.usage.images_in == 2
    assert response.usage.audio_s_in == pytest.approx(0.2)


def test_media_out_are_real_files_and_the_same_for_the_same_request(tmp_path):
    request = asking(output_modalities=("text", "image", "audio", "video"))
    first = ask(fake(), request, ArtifactStore(tmp_path / "a"))
    again = ask(fake(), request, ArtifactStore(tmp_path / "b"))
    assert [type(part) for part in first.parts] == [Text, Image, Audio, Video]
    assert first.parts == again.parts
    assert first.parts[1].artifact.mime == "image/png"
    assert first.parts[2].artifact.duration_s == pytest.approx(0.4)
    assert first.parts[3].artifact.width == 64
    assert first.usage.images_out == 1
    other = ask(fake(seed=1), request, ArtifactStore(tmp_path / "c"))
    assert other.parts[1] != first.parts[1]


def test_answers_depend_on_content_not_on_where_files_came_from(tmp_path):
    from eval_anything.values import Lineage

    store = ArtifactStore(tmp_path)
    replies = []
    for name in ("a.png", "b.png"):
        artifact = store.add_bytes(png(), "image", lineage=Lineage(source="data", name=name))
        replies.append(ask(fake("rater"), Request(messages=(Message("user", (Image(artifact),)),))).text)
    assert replies[0] == replies[1]


def test_rater_rates_by_the_prompt_alone():
    model = fake("rater")
    ratings = [ask(model, asking(f"case {n}")).text.splitlines()[-1] for n in range(200)]
    assert set(ratings) == {f"<Score>: [[{n}]]" for n in range(1, 11)}
    assert ask(model, asking("case 3", draw=2, params=Params(seed=9))).text.endswith(ratings[3])
    other = [ask(fake("rater", seed=5), asking(f"case {n}")).text.splitlines()[-1] for n in range(20)]
    assert other != ratings[:20]


def test_draws_of_the_same_request_differ():
    assert ask(fake(), asking(draw=0)).text != ask(fake(), asking(draw=1)).text


def test_constant_gives_its_reply():
    assert ask(fake("constant", reply="forty-two"), asking()).text == "forty-two"


def test_unknown_name_and_modality_get_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'echo'"):
        fake("ecko")
    with pytest.raises(UnknownName, match=r"option inputs.*did you mean 'image'"):
        fake(inputs="text,imag")


def test_capabilities_follow_the_options():
    model = fake(inputs="image, text", outputs="text")
    assert model.capabilities().inputs == ("text", "image")
    assert model.capabilities().outputs == ("text",)


@pytest.mark.parametrize("kind", ["transport", "rate_limit", "server", "garbage", "bad_request", "auth"])
def test_faults_are_raised_by_kind(kind):
    with pytest.raises(ModelError) as caught:
        ask(fake(fault=kind), asking())
    assert caught.value.kind == kind


def test_fault_rate_hits_its_share_and_always_the_same_requests():
    def hit(model):
        found = set()
        for n in range(1000):
            try:
                ask_now(model, asking(f"case {n}"))
            except TransportFault:
                found.add(n)
        return found

    def ask_now(model, request):
        generating = model.generate(request)
        try:
            generating.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("a fake model without delay must not wait")

    first = hit(fake(fault="transport", fault_rate="0.05"))
    assert 25 <= len(first) <= 80
    assert hit(fake(fault="transport", fault_rate="0.05")) == first


def test_fault_times_lets_a_request_succeed_after_that_many_attempts():
    model = fake(fault="server", fault_times="2")
    for _ in range(2):
        with pytest.raises(ModelError):
            ask(model, asking())
    assert ask(model, asking()).state == "ok"
    with pytest.raises(ModelError):
        ask(model, asking("another"))


def test_states_that_are_not_errors(tmp_path):
    assert ask(fake(fault="refused"), asking()).state == "refused"
    cut = ask(fake(fault="truncated"), asking("a long enough question"))
    assert cut.state == "truncated"
    assert "You said: a long enough question".startswith(cut.text)
    empty = ask(fake(fault="empty"), asking())
    assert (empty.state, empty.parts) == ("ok", ())
    with pytest.raises(GarbageReply, match="HTML"):
        ask(fake(fault="garbage_media"), asking(), ArtifactStore(tmp_path))


def test_delay_is_kept():
    started = time.perf_counter()
    ask(fake(delay_s="0.05", jitter_s="0.01"), asking())
    assert time.perf_counter() - started >= 0.05


def test_text_costs_little():
    model, request = fake(), asking("hello " * 100)

    async def go():
        for _ in range(2000):
            await model.generate(request)

    started = time.process_time()
    asyncio.run(go())
    # The promise is 50 microseconds; twice that leaves room for a busy machine.
    assert (time.process_time() - started) / 2000 < 100e-6


def test_what_it_would_say_is_likely_and_all_else_is_not():
    def scored(text, name="constant", **given):
        return ask(fake(name, **given), asking(continuation=text)).likelihood

    right, wrong = scored(" B", reply="B."), scored(" C", reply="B.")
    assert right == Likelihood(logprob=-0.02, greedy=True, tokens=2)
    assert wrong.logprob < -2 and not wrong.greedy
    assert scored(" C", reply="B.") == wrong != scored(" D", reply="B.")
    assert scored("You said", "echo").greedy
