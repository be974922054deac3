from __future__ import annotations

import subprocess
import sys

import pytest
from hf_lab import CPU, Lab, request

from eval_anything.errors import BadRequest, UnknownName, UsageError
from eval_anything.models.hf import load
from eval_anything.models.hf.generate import Answer, Generator, Job
from eval_anything.models.hf.prompt import Prompter, placeholder_tokens
from eval_anything.models.hf.provider import HFModel, HFOptions
from eval_anything.options import parse
from eval_anything.values import Message, Modality, Reasoning, Request, Text

KINDS: dict[str, tuple[Modality, ...]] = {
    "tiny_llama": ("text",),
    "tiny_llava": ("text", "image"),
    "tiny_qwen2_vl": ("text", "image", "video"),
    "tiny_qwen2_audio": ("text", "audio"),
    "tiny_omni": ("text", "image", "audio", "video"),
}


@pytest.mark.parametrize("builder", KINDS)
def test_capabilities_before_weights(lab: Lab, builder: str) -> None:
    model = HFModel(str(lab.folder(builder)), HFOptions())
    assert model.capabilities().inputs == KINDS[builder]
    assert model.capabilities().outputs == ("text",)


def requests_for(lab: Lab, builder: str, **params: object) -> list[Request]:
    takes = KINDS[builder]
    turns: list[tuple[object, ...]] = [
        ("what is the answer, yes or no?",),
        ("no",),
        ("red or blue",),
        ("a",),
        ("b",),
    ]
    if "image" in takes:
        turns += [(lab.image(1), "what is the image"), ("first", lab.image(2, (60, 90)))]
        turns += [(lab.image(3), "and", lab.image(4), "same?")]
    if "audio" in takes:
        turns += [(lab.audio(1, 0.7), "the sound?"), ("hear", lab.audio(2, 2.0))]
    if "video" in takes:
        turns += [(lab.video(1), "moves?"), ("say what moves", lab.video(2))]
    if len(takes) == 4:
        turns += [(lab.video(1), lab.image(1), "then", lab.audio(1, 0.7), "all?")]
        turns += [(lab.audio(1, 0.7), lab.image(2), lab.video(2), "?")]
    return [request(*turn, sample=str(i), **params) for i, turn in enumerate(turns)]


@pytest.mark.parametrize("builder", KINDS)
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_batch_and_order_do_not_change_an_answer(
    lab: Lab, builder: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    run = Generator.run

    def counted(self: Generator, jobs: list[Job]) -> list[Answer]:
        sizes.append(len(jobs))
        return run(self, jobs)

    monkeypatch.setattr(Generator, "run", counted)
    requests = requests_for(lab, builder, temperature=temperature, seed=3)
    alone = lab.ask(builder, requests, together=False)
    assert set(sizes) == {1}
    together = lab.ask(builder, requests)
    backwards = lab.ask(builder, requests[::-1])[::-1]
    texts = [response.text for response in alone]
    assert [response.text for response in together] == texts
    assert [response.text for response in backwards] == texts
    assert len(set(texts)) > len(texts) // 2
    # A batch that fails is run again one by one: then more would have been run than was asked.
    assert max(sizes) > 1 and sum(sizes) == 3 * len(requests)
    assert all(r.usage.output_tokens > 0 and r.usage.input_tokens > 4 for r in alone)


def test_each_medium_and_its_place_matter(lab: Lab) -> None:
    first, second = lab.image(1), lab.image(2)
    sounds, films = (lab.audio(1), lab.audio(2)), (lab.video(1), lab.video(2))
    turns = [(first, second, "?"), (second, first, "?"), (first, "?", second), (first, "?"), ("?",)]
    turns += [(sound, "?") for sound in sounds] + [(film, "?") for film in films]
    texts = [r.text for r in lab.ask("tiny_omni", [request(*turn, max_tokens=24) for turn in turns])]
    assert len(set(texts)) == len(texts)


def test_draws_and_samples_differ_and_repeat(lab: Lab) -> None:
    asked = [request("?", sample=s, draw=d, temperature=1.0) for s in "ab" for d in (0, 1)]
    once, again = lab.ask("tiny_llama", asked), lab.ask("tiny_llama", asked)
    assert [r.text for r in once] == [r.text for r in again]
    assert len({r.text for r in once}) == 4


def test_cut_at_the_token_limit(lab: Lab) -> None:
    (response,) = lab.ask("tiny_llama", [request("go on", max_tokens=5)])
    assert (response.state, response.finish_reason) == ("truncated", "length")
    assert response.usage.output_tokens == 5
    assert response.usage.requests == 1


def test_ends_by_itself(lab: Lab) -> None:
    asked = [request("go on", sample=str(i), temperature=2.0, max_tokens=700) for i in range(4)]
    responses = lab.ask("tiny_llama", asked)
    ended = [r for r in responses if r.state == "ok"]
    assert ended and all(r.finish_reason == "stop" and r.usage.output_tokens < 700 for r in ended)
    assert all("<|im_end|>" not in r.text for r in responses)


def test_stop_string_ends_only_its_row(lab: Lab) -> None:
    plain = lab.ask("tiny_llama", [request("a"), request("b")])
    stop = plain[0].text[3:5]
    stopped = lab.ask("tiny_llama", [request("a", stop=(stop,)), request("b", stop=(stop,))])
    assert stopped[0].text == plain[0].text.partition(stop)[0]
    assert stopped[0].state == "ok"
    assert stopped[1].text == plain[1].text.partition(stop)[0]


def test_usage_of_media(lab: Lab) -> None:
    (response,) = lab.ask("tiny_omni", [request(lab.image(1), lab.audio(1, 1.5), lab.video(1, 4), "?")])
    assert response.usage.images_in == 1
    assert response.usage.audio_s_in == pytest.approx(1.5)
    assert response.usage.video_s_in == pytest.approx(4.0, abs=0.3)
    assert any("4 frames" in note for note in response.notes)


def test_cut_audio_is_noted(lab: Lab) -> None:
    (response,) = lab.ask("tiny_omni", [request(lab.audio(1, 5.0), "?")])
    assert any("hears the first 3 s" in note for note in response.notes)


def test_bad_sample_does_not_take_its_neighbours_along(lab: Lab) -> None:
    ribbon = lab.image(9, (2, 500))  # the image processor refuses such an aspect ratio
    good = [request(lab.image(i), "?", sample=str(i)) for i in range(3)]
    responses = lab.ask("tiny_qwen2_vl", [*good, request(ribbon, "?")], errors=True)
    assert [type(r).__name__ for r in responses] == ["Response"] * 3 + ["ModelError"]
    assert "aspect ratio" in str(responses[3]) and "\n" not in str(responses[3])
    assert [r.text for r in responses[:3]] == [r.text for r in lab.ask("tiny_qwen2_vl", good)]


def test_modality_that_the_model_does_not_take(lab: Lab) -> None:
    with pytest.raises(BadRequest, match="does not take audio"):
        lab.ask("tiny_llava", [request(lab.audio(1), "?")])


def test_prompt_longer_than_the_context(lab: Lab) -> None:
    with pytest.raises(BadRequest, match="context is 4096"):
        lab.ask("tiny_llama", [request("@" * 5000)])


def test_extra_parameters(lab: Lab) -> None:
    plain, changed = (
        lab.ask("tiny_llama", [request("a", extra=extra)])[0].text
        for extra in ({}, {"repetition_penalty": 9.0})
    )
    assert plain != changed
    with pytest.raises(BadRequest, match="no parameter 'repetitoin_penalty'"):
        lab.ask("tiny_llama", [request("a", extra={"repetitoin_penalty": 9.0})])
    with pytest.raises(BadRequest, match="'do_sample' is decided"):
        lab.ask("tiny_llama", [request("a", extra={"do_sample": True})])


def test_thinking_that_the_template_opens(lab: Lab) -> None:
    template = lab.root / "thinking.jinja"
    template.write_text("{{ messages[0]['content'] }}<think>\n")
    options = HFOptions(dtype="float32", device="cpu", chat_template=str(template))
    (response,) = lab.ask("tiny_llama", [request("a")], options)
    assert isinstance(response.parts[0], Reasoning)
    assert response.text == ""
    assert response.usage.reasoning_tokens > 0


def test_earlier_turns_and_system_prompt_reach_the_model(lab: Lab) -> None:
    last = Message("user", (Text("?"),))
    before = [Message("system", (Text("red"),)), Message("assistant", (Reasoning("hm"), Text("blue")))]
    conversations = [(last,), (before[0], last), (last, before[1], last)]
    asked = [Request(messages=turns, params=request("").params) for turns in conversations]
    assert len({r.text for r in lab.ask("tiny_llama", asked)}) == 3


def test_identity_follows_the_weights(lab: Lab) -> None:
    options = HFOptions(device="cpu")
    llama, llava = (HFModel(str(lab.folder(b)), options).identity() for b in ("tiny_llama", "tiny_llava"))
    assert llama == HFModel(str(lab.folder("tiny_llama")), options).identity()
    assert llama["dtype"] == "float32"
    assert len(llama["checkpoint"]) == 64 and llama["checkpoint"] != llava["checkpoint"]
    assert HFModel(str(lab.folder("tiny_llama")), options).notes() == ()


def test_identity_follows_the_given_template(lab: Lab) -> None:
    template = lab.root / "given.jinja"
    model = HFModel(str(lab.folder("tiny_llama")), HFOptions(device="cpu", chat_template=str(template)))
    seen = []
    for text in ("a", "b"):
        template.write_text(text)
        seen.append(model.identity()["chat_template"])
    assert seen[0] != seen[1]


@pytest.mark.parametrize("builder", KINDS)
def test_half_precision(lab: Lab, builder: str) -> None:
    responses = lab.ask(builder, requests_for(lab, builder), HFOptions(dtype="bfloat16", device="cpu"))
    assert all(r.usage.output_tokens > 0 for r in responses)


def test_placeholders_are_never_generated(lab: Lab) -> None:
    model = HFModel(str(lab.folder("tiny_omni")), CPU)
    ids = {model.opened.tokenizer.convert_tokens_to_ids(t) for t in placeholder_tokens(model.opened)}
    weights = load.load_weights(model.opened, "cpu", "float32", None)
    generator = Generator(model.opened, weights, Prompter(model.opened, lab.store, 8, 1.0))
    assert len(ids) == 3 and ids <= set(generator.suppressed)


def test_device_that_is_not_there(lab: Lab) -> None:
    with pytest.raises(UsageError, match="option device"):
        lab.ask("tiny_llama", [request("a")], HFOptions(device="cuda:99"))


def test_options_are_strict() -> None:
    assert parse(HFOptions, {"batch_size": "4", "dtype": "bfloat16"}, "hf").batch_size == 4
    with pytest.raises(UnknownName, match="batch_size"):
        parse(HFOptions, {"batchsize": "4"}, "hf")
    for bad in ({"dtype": "int8"}, {"batch_size": "0"}, {"max_frames": "0"}, {"fps": "0"}):
        with pytest.raises(UsageError):
            parse(HFOptions, bad, "hf")


def test_construction_is_light_and_missing_library_is_named(lab: Lab) -> None:
    code = (
        "import sys\nfrom eval_anything.models.hf.provider import HFModel, HFOptions\n"
        "model = HFModel(sys.argv[1], HFOptions())\n"
        "assert not {'torch', 'transformers', 'numpy', 'PIL', 'av'} & set(sys.modules)\n"
        "sys.modules['transformers'] = None\n"
        "try:\n    model.capabilities()\nexcept Exception as fault:\n    print(type(fault).__name__, fault)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(lab.folder("tiny_llama"))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("MissingExtra") and "pip install 'eval-anything[hf]'" in done.stdout
