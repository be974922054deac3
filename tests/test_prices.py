"""The price table: the built-in one says where it is from, and a file of one's own comes first."""

import re
from pathlib import Path

import pytest

from eval_anything.errors import UnknownName, UsageError
from eval_anything.prices import Prices, _built_in
from eval_anything.values import Price


def test_every_built_in_price_has_a_source_and_a_date() -> None:
    assert len(_built_in()) > 20
    for spec, price in _built_in().items():
        assert "/" in spec
        assert price.source.startswith("https://"), spec
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", price.date), spec


def test_a_built_in_price_holds_at_its_own_server_alone() -> None:
    found = Prices().find("openai/gpt-4o", "api.openai.com")
    assert found is not None
    assert (found.input, found.input_cached, found.output) == (2.5, 1.25, 10.0)
    assert Prices().find("openai/gpt-4o", "localhost:8000") is None
    assert Prices().find("openai/no-such-model", "api.openai.com") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.yaml", "models:\n  openai/gpt-4o: {input: 1, output: 2.5, date: 2026-01-31}\n"),
        ("own.toml", '[models."openai/gpt-4o"]\ninput = 1\noutput = 2.5\ndate = 2026-01-31\n'),
    ],
)
def test_ones_own_file_comes_first(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    own = Prices(str(path))
    expected = Price(input=1, output=2.5, date="2026-01-31", source=str(path))
    assert own.find("openai/gpt-4o", "api.openai.com") == own.find("openai/gpt-4o", "else") == expected
    assert own.find("openai/gpt-4.1", "api.openai.com") == Prices().find("openai/gpt-4.1", "api.openai.com")


def test_a_price_of_ones_own_for_one_server_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text('models: {openai/m: {input: 1, server: "localhost:8000"}}')
    assert Prices(str(path)).find("openai/m", "localhost:8000") is not None
    assert Prices(str(path)).find("openai/m", "localhost:8001") is None


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("models: {openai/m: {inptu: 1}}", UnknownName, "did you mean 'input'"),
        ("models: {openai/m: {input: -1}}", UsageError, "openai/m"),
        ("models: {openai/m: {input: much}}", UsageError, "openai/m"),
        ("models: {openai/m: {date: 2026-01-01}}", UsageError, "a price of nothing"),
        ("models: {openai/m: 3}", UsageError, "openai/m: expected prices"),
        ("openai/m: {input: 1}", UsageError, "expected one mapping, `models`"),
        ("models: [", UsageError, "not YAML"),
        ("- a", UsageError, "expected one mapping"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    tmp_path: Path, text: str, kind: type[UsageError], said: str
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(kind, match=re.escape(said)):
        Prices(str(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Prices(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.toml").write_text("models = {")
    with pytest.raises(UsageError, match="not TOML"):
        Prices(str(tmp_path / "bad.toml"))
