"""The response cache: what changes its key and what does not, and what it will not keep."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.errors import StorageError
from eval_anything.media.convert import write_wav
from eval_anything.media.store import ArtifactStore
from eval_anything.stores.cache import ResponseCache
from eval_anything.values import (
    Artifact,
    Image,
    Lineage,
    Message,
    Origin,
    Params,
    Request,
    Response,
    Text,
    Tool,
    ToolResult,
    Usage,
)


def artifact(sha: str = "a" * 64, **changes: Any) -> Artifact:
    values = {"sha256": sha, "mime": "image/png", "bytes_size": 3, "width": 1, "height": 1, **changes}
    return Artifact(**values)


BASE = Request(
    messages=(Message("user", (Image(artifact()), Text("what is it?"))),),
    params=Params(temperature=0.5, max_tokens=10, extra={"x": 1}),
    origin=Origin("t", "1"),
)
CHANGED: dict[str, Request] = {
    "text": msgspec.structs.replace(
        BASE, messages=(Message("user", (Image(artifact()), Text("what is it"))),)
    ),
    "role": msgspec.structs.replace(BASE, messages=(Message("system", BASE.messages[0].parts),)),
    "order": msgspec.structs.replace(BASE, messages=(Message("user", BASE.messages[0].parts[::-1]),)),
    "media bytes": msgspec.structs.replace(
        BASE, messages=(Message("user", (Image(artifact("b" * 64)), Text("what is it?"))),)
    ),
    "draw": msgspec.structs.replace(BASE, draw=1),
    "plain": msgspec.structs.replace(BASE, plain=True),
    "continuation": msgspec.structs.replace(BASE, continuation=""),
    "interleaved": msgspec.structs.replace(BASE, interleaved=True),
    "outputs": msgspec.structs.replace(BASE, output_modalities=("text", "image")),
    "required": msgspec.structs.replace(BASE, required_modalities=("text",)),
    "tools": msgspec.structs.replace(BASE, tools=(Tool(name="f", description="", parameters={}),)),
    "tool parameter called origin": msgspec.structs.replace(
        BASE, tools=(Tool(name="f", description="", parameters={"origin": 1}),)
    ),
    **{
        name: msgspec.structs.replace(BASE, params=msgspec.structs.replace(BASE.params, **{name: value}))
        for name, value in {
            "temperature": 0.6,
            "top_p": 0.9,
            "top_k": 5,
            "max_tokens": 11,
            "stop": ("x",),
            "seed": 1,
            "extra": {"x": 2},
        }.items()
    },
}


@pytest.fixture
def cache(tmp_path: Path) -> ResponseCache:
    return ResponseCache(tmp_path / "cache")


def test_whatever_is_asked_changes_the_key(cache: ResponseCache) -> None:
    keys = {name: cache.key(b"m", request) for name, request in CHANGED.items()}
    keys["base"] = cache.key(b"m", BASE)
    keys["another model"] = cache.key(b"n", BASE)
    assert len(set(keys.values())) == len(keys)


def test_every_field_of_a_request_is_among_the_changes() -> None:
    """A field that is added later must be thought of here."""
    assert set(Params.__struct_fields__) <= set(CHANGED)
    known = {"messages", "output_modalities", "required_modalities", "tools", "params", "draw", "origin"}
    assert set(Request.__struct_fields__) == known | {"plain", "continuation", "interleaved"}


def test_what_the_model_never_sees_does_not_change_the_key(cache: ResponseCache) -> None:
    elsewhere = artifact(lineage=Lineage(source="data", name="another/file.png"))
    same = msgspec.structs.replace(
        BASE,
        origin=Origin("other", "99", 3),
        messages=(Message("user", (Image(elsewhere), Text("what is it?"))),),
    )
    assert cache.key(b"m", same) == cache.key(b"m", BASE)


def test_what_a_tool_consumed_does_not_change_the_key(cache: ResponseCache) -> None:
    keys = set()
    for usage in (Usage(), Usage(requests=3, cost_usd=0.1)):
        result = ToolResult("1", (Text("made"),), usage=usage)
        request = msgspec.structs.replace(BASE, messages=(*BASE.messages, Message("tool", (result,))))
        keys.add(cache.key(b"m", request))
    assert len(keys) == 1


@given(st.text(), st.text())
def test_keys_of_texts_collide_only_where_texts_are_equal(
    tmp_path_factory: pytest.TempPathFactory, first: str, second: str
) -> None:
    cache = ResponseCache(tmp_path_factory.getbasetemp() / "property-cache")
    keys = [
        cache.key(b"m", msgspec.structs.replace(BASE, messages=(Message("user", (Text(text),)),)))
        for text in (first, second)
    ]
    assert (keys[0] == keys[1]) == (first == second)
    cache.close()


def test_media_of_an_answer_come_back_into_the_run(cache: ResponseCache, tmp_path: Path) -> None:
    import numpy as np

    first, second = ArtifactStore(tmp_path / "a"), ArtifactStore(tmp_path / "b")
    made = first.add_bytes(write_wav(np.zeros(800, dtype=np.float32), 8000), "audio")
    answer = Response(parts=(Text("here"), first.part(made)), usage=Usage(requests=1, output_tokens=3))
    cache.put(b"k", answer, first)
    known = cache.get(b"k", second)
    assert known is not None
    assert known.cached
    assert known.usage == Usage(from_cache=1)  # nothing was consumed
    assert second.read(made) == first.read(made)


def test_an_answer_whose_media_are_gone_is_not_there(cache: ResponseCache, tmp_path: Path) -> None:
    import numpy as np

    store = ArtifactStore(tmp_path / "a")
    made = store.add_bytes(write_wav(np.zeros(800, dtype=np.float32), 8000), "audio")
    cache.put(b"k", Response(parts=(store.part(made),)), store)
    for file in (tmp_path / "cache" / "media").rglob("*.wav"):
        file.unlink()
    assert cache.get(b"k", ArtifactStore(tmp_path / "b")) is None


def test_an_answer_that_cannot_be_read_is_not_there(cache: ResponseCache, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "a")
    cache.put(b"k", Response(parts=(Text("here"),)), store)
    with sqlite3.connect(tmp_path / "cache" / "responses.sqlite") as database:
        database.execute("UPDATE responses SET response = ?", (b'{"',))
    database.close()
    assert cache.get(b"k", store) is None


def test_a_cache_of_another_form_is_a_storage_error(cache: ResponseCache, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "cache" / "responses.sqlite") as database:
        database.execute("DROP TABLE responses")
    database.close()
    with pytest.raises(StorageError, match=r"response cache .*no such table"):
        cache.get(b"k", ArtifactStore(tmp_path / "a"))


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="response cache"):
        ResponseCache(tmp_path / "file")
