from __future__ import annotations

import types

import numpy as np
import PIL.Image
import pytest

from eval_anything.errors import MediaError, UsageError
from eval_anything.lm_eval import media
from eval_anything.lm_eval.prompts import Turns, as_turns, cut, messages, params
from eval_anything.media.store import ArtifactStore
from eval_anything.values import Message, Text


def test_turns_are_told_from_plain_prompts_by_their_type() -> None:
    history = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": 'say "a"'}]
    turns = as_turns(history)
    assert isinstance(turns, str) and isinstance(turns, Turns)
    assert [(m.role, m.parts[0].text) for m in messages(turns)] == [  # type: ignore[union-attr]
        ("system", "Be brief."),
        ("user", 'say "a"'),
    ]
    assert messages("[1, 2]") == (Message("user", (Text("[1, 2]"),)),)
    with pytest.raises(UsageError, match="writes text behind a chat template's"):
        messages(turns + " a")


def test_parameters_of_a_generation() -> None:
    given = {"until": ["\n", ""], "max_gen_toks": 5, "do_sample": True, "temperature": 0.7, "min_p": 0.1}
    found = params(given)
    assert (found.stop, found.max_tokens, found.temperature, found.extra) == (("\n",), 5, 0.7, {"min_p": 0.1})
    assert params({"temperature": 0.7, "do_sample": False}).temperature == 0
    assert cut("one\ntwo. three", (". ", "\n")) == "one"


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("media"))


def user(text: str) -> tuple[Message, ...]:
    return (Message("system", (Text("<image> is a word here"),)), Message("user", (Text(text),)))


def shape(turns: tuple[Message, ...]) -> list[str]:
    return [part.text if isinstance(part, Text) else type(part).__name__ for part in turns[-1].parts]


def test_media_stand_where_their_marks_do(store: ArtifactStore) -> None:
    red, blue = (PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    sound = {"array": np.sin(np.arange(800) / 3), "sampling_rate": 8000}
    alone = (Message("user", (Text("a <image>b<image> <audio>?"),)),)
    both = media.placed(alone, {"image": [red, blue], "audio": [sound]}, store)
    assert shape(both) == ["a ", "Image", "b", "Image", " ", "Audio", "?"]
    first, second = both[0].parts[1], both[0].parts[3]
    assert store.read(first.artifact) != store.read(second.artifact)  # type: ignore[union-attr]
    assert both[0].parts[5].artifact.duration_s == pytest.approx(0.1)  # type: ignore[union-attr]
    assert shape(media.placed(user("what?")[1:], {"image": [red, blue]}, store)) == [
        "Image",
        "Image",
        "what?",
    ]
    assert shape(media.placed(user("<image> what?")[1:], {"audio": [sound]}, store)) == [
        "Audio",
        "<image> what?",
    ]


def test_marks_and_media_that_do_not_fit_together(store: ArtifactStore) -> None:
    red = PIL.Image.new("RGB", (8, 8), "red")
    with pytest.raises(UsageError, match="more marks <image>"):
        media.placed(
            user("<image><image>"), {"image": [red, red]}, store
        )  # one of them in the system's words
    with pytest.raises(UsageError, match=r"fewer media than it brings \(1 more\)"):
        media.placed(user("<image>")[1:], {"image": [red, red]}, store)
    with pytest.raises(MediaError, match="is a set"):
        media.placed(user("x")[1:], {"image": [{1}]}, store)
    with pytest.raises(MediaError):
        media.placed(user("x")[1:], {"image": [{"bytes": b"no image", "path": None}]}, store)


def test_what_data_sets_hold_as_media(store: ArtifactStore) -> None:
    red = PIL.Image.new("CMYK", (8, 8))
    assert media.given({"visual": [red, None], "audio": None}) == {"image": [red]}
    assert media.given({"visual": red}) == {"image": [red]}

    class Decoder:
        """As torchcodec's."""

        def get_all_samples(self) -> types.SimpleNamespace:
            return types.SimpleNamespace(data=np.ones((2, 400)) / 2, sample_rate=8000)

    (turn,) = media.placed(user("x")[1:], {"image": [red], "audio": [Decoder()]}, store)
    assert shape((turn,)) == ["Image", "Audio", "x"]
