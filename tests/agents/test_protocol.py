"""Replies as models write them, and each fault of the published reader."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eval_anything.agents.protocol import MARKERS, Document, Slot, Slots, parse_document, parse_slots, used
from eval_anything.values import MODALITIES, Modality


def written(slots: dict[Modality, str]) -> str:
    lines = [f"{MARKERS[modality]} {text}" for modality, text in slots.items()]
    return "\n".join(["[output_format]", *lines, "[/output_format]"])


def read(text: str) -> tuple[str, str, str]:
    slots = parse_slots(text)
    return slots.text, slots.image, slots.audio


def test_the_form_as_it_is_asked_for() -> None:
    slots = parse_slots(written({"text": "A fox.", "image": "a fox", "audio": "None", "video": "fox runs"}))
    assert slots == Slots(text="A fox.", image="a fox", video="fox runs")
    assert slots.chosen == ("text", "image", "video")


def test_text_after_a_second_colon_is_kept() -> None:
    assert read("[[response]]: Note: see 10:30\n[[image_instruction]]: sign: EXIT") == (
        "Note: see 10:30",
        "sign: EXIT",
        "",
    )


def test_more_colons_and_those_in_full_width_belong_to_the_marker() -> None:
    assert read("[[response]]:: hi\n[[image_instruction]]::fox\n[[audio_instruction]]::None") == (
        "hi",
        "fox",
        "",
    )
    assert read(
        "[[response]]\uff1a\u4f60\u597d\n[[image_instruction]]\uff1afox\n[[audio_instruction]]\uff1a\u65e0\u3002"
    ) == (
        "\u4f60\u597d",
        "fox",
        "",
    )


def test_a_closing_tag_after_none_is_not_an_instruction() -> None:
    assert read("[[response]]: hi\n[[audio_instruction]]: None[/output_format]") == ("hi", "", "")
    assert read("[[response]]: hi\n[[audio_instruction]]: None\n[/output_format]\nGood luck!") == (
        "hi",
        "",
        "",
    )


def test_a_missing_marker_takes_nothing_from_the_others() -> None:
    assert read("[[response]]: hi\n[[image_instruction]]: None") == ("hi", "", "")
    assert read("[[image_instruction]]: a fox") == ("", "a fox", "")


def test_slots_in_another_order() -> None:
    assert read("[[audio_instruction]]: bark\n[[image_instruction]]: fox\n[[response]]: hi") == (
        "hi",
        "fox",
        "bark",
    )


@pytest.mark.parametrize(
    "none",
    [
        "None",
        "none",
        "NONE.",
        "N/A",
        "n/a.",
        "'None'",
        "(none)",
        "**None**",
        "-",
        "",
        "null",
        "[None]",
        "\xa0",
        "\x1f",
    ],
)
def test_unused_slots(none: str) -> None:
    slots = parse_slots(f"[[response]]: hi\n[[image_instruction]]: {none}\n[[audio_instruction]]: {none}")
    assert slots.chosen == ("text",)


@pytest.mark.parametrize(
    "text", ["None of them", "Nonexistent", "nothing", "No, none", "\U0001f600", "0", "Na"]
)
def test_texts_that_only_look_unused(text: str) -> None:
    assert parse_slots(f"[[response]]: {text}").text == text


@pytest.mark.parametrize(
    "reply",
    [
        "**[[response]]**: hi\n**[[image_instruction]]**: a fox",
        "**[[response]]:** hi\n**[[image_instruction]]:** a fox",
        "**[[response]]: hi**\n**[[image_instruction]]: a fox**",
        "- [[response]]: hi\n- [[image_instruction]]: a fox",
        "1. [[response]]: hi\n2. `[[image_instruction]]`: a fox",
        "### [[response]]\nhi\n### [[image_instruction]]\na fox",
        "> [[response]]: hi\n> [[image_instruction]]: a fox",
        "[[RESPONSE]]: hi\n[[Image_Instruction]]: a fox",
        "[[response]: hi\n[[image_instruction]: a fox",
        "[response]]: hi\n[image_instruction]]: a fox",
        "[response]: hi\n[image_instruction]: a fox",
        "[[response: hi]]\n[[image_instruction: a fox]]",
        "[[ response ]] : hi\n[[ image instruction ]] : a fox",
        "[[response]]: hi [[image\\_instruction]]: a fox",
        "[[response]]:hi\r\n[[image-instruction]]:a fox\r\n",
        "```\n[[response]]: hi\n[[image_instruction]]: a fox\n```",
        "```text\n[output_format]\n[[response]]: hi\n[[image_instruction]]: a fox\n[/output_format]\n```\nOK",
        "```\n[[response]]: hi\n```\n```\n[[image_instruction]]: a fox\n```",
        "<think>[[response]]: wrong, or [[audio_instruction]]: maybe?</think>\n[[response]]: hi\n"
        "[[image_instruction]]: a fox",
    ],
)
def test_forms_that_models_write(reply: str) -> None:
    assert read(reply) == ("hi", "a fox", "")


def test_brackets_and_fences_in_a_slot_are_its_own() -> None:
    code = "see [[1]], [a [b]] and [response]: x\n```py\nprint([[0]])\n```"
    assert parse_slots(f"[[response]]: {code}\n[[image_instruction]]: fox").text == code
    assert parse_slots(f"```\n[[response]]: {code}\n[[image_instruction]]: fox\n```").text == code


def test_lines_end_in_one_way() -> None:
    assert parse_slots("[[response]]: a\r\nb\r\n[[image_instruction]]: c").text == "a\nb"


def test_repeated_markers_the_first_with_content_counts_and_it_is_said() -> None:
    slots = parse_slots("[[response]]: None\n[[response]]: first\n[[response]]: second")
    assert slots.text == "first"
    assert slots.notes == ("[[response]]: was there again; the first one counts",)


def test_words_before_the_first_marker_are_left_out_and_it_is_said() -> None:
    slots = parse_slots("Sure, here it is:\n[[response]]: hi")
    assert (slots.text, slots.notes) == ("hi", ("words before the first marker were left out",))


def test_without_markers_the_whole_reply_is_the_text_and_it_is_said() -> None:
    slots = parse_slots("  A fox is [small]: red.\n")
    assert (slots.text, slots.marked, slots.notes) == (
        "A fox is [small]: red.",
        False,
        ("no markers in the reply",),
    )
    assert parse_slots(" \n").chosen == ()


signs = [
    "[",
    "]",
    "[[",
    "]]",
    ":",
    "**",
    "```",
    "\n",
    "\r\n",
    "- ",
    "None",
    "response",
    "<think>",
    "</think>",
]
names = [
    *MARKERS.values(),
    "[output_format]",
    "[/output_format]",
    "[[image_instruction",
    "audio_instruction]]",
]
pieces = st.one_of(st.text(), st.sampled_from([*signs, *names]))
hostile = st.lists(pieces, max_size=30).map("".join)


@settings(deadline=None)
@given(hostile)
@example("[[response]]:" * 50)
def test_any_text_is_read(text: str) -> None:
    slots = parse_slots(text)
    assert slots.chosen == tuple(m for m in MODALITIES if slots[m])
    assert all(used(slots[m]) and slots[m] == slots[m].strip() for m in slots.chosen)


def plain(text: str) -> bool:
    """Neither a marker, nor a tag, nor thinking, nor nothing: what a slot can hold."""
    lowered = text.lower()
    names = ("response", "instruction", "format")
    return used(text) and not any(word in lowered for word in (*names, "<think>", "</think>"))


contents = st.lists(
    st.one_of(st.text(), st.sampled_from([*"[]:*`\n-", "[[", "```", "**"])), min_size=1, max_size=12
)
slot_texts = contents.map("".join).filter(plain).map(lambda text: text.replace("\r\n", "\n").strip())


@settings(deadline=None)
@given(st.permutations(MODALITIES), st.lists(slot_texts, min_size=4, max_size=4), st.integers(1, 4))
def test_what_is_written_in_the_form_is_read_back(order: list[Modality], texts: list[str], n: int) -> None:
    slots = dict(zip(order[:n], texts[:n], strict=True))
    found = parse_slots(written(slots))
    assert {modality: found[modality] for modality in found.chosen} == slots
    assert found.notes == ()


def test_long_hostile_replies_take_no_time() -> None:
    """Each of these took minutes with a careless expression."""
    for text in (
        "[" + " " * 200_000,
        "[[" * 100_000,
        "*" * 200_000 + "[[response]]:",
        "[[response]]: " * 20_000,
    ):
        parse_slots(text)


def test_a_document_keeps_every_slot_in_its_order() -> None:
    text = (
        "[output_format]\n[[response]]: First: the sea.\n[[image_instruction]]: a sea\n"
        "[[response]]: Then **land**.\n[[image_instruction]]: None\n[[audio_instruction]]: gulls\n"
        "[[image_instruction]]: a beach\n[/output_format]"
    )
    assert parse_document(text).slots == (
        Slot("text", "First: the sea."),
        Slot("image", "a sea"),
        Slot("text", "Then **land**."),
        Slot("audio", "gulls"),
        Slot("image", "a beach"),
    )
    assert parse_slots(text).image == "a sea"
    assert parse_slots(text).notes == (
        "[[response]]: was there again; the first one counts",
        "[[image_instruction]]: was there again; the first one counts",
    )


def test_a_document_without_markers_is_text() -> None:
    assert parse_document("Just words.") == Document(
        slots=(Slot("text", "Just words."),), notes=("no markers in the reply",)
    )
    assert parse_document("None.") == Document(notes=("no markers in the reply",))
