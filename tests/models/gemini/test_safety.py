import pytest

from eval_anything.errors import UnknownName
from eval_anything.models.gemini.safety import CATEGORIES, parse_safety


def test_one_threshold_is_for_all_categories():
    assert parse_safety("", "x") == {}
    found = parse_safety("block_none", "x")
    assert found == {f"HARM_CATEGORY_{name.upper()}": "BLOCK_NONE" for name in CATEGORIES}


def test_thresholds_by_category_as_the_api_or_a_user_writes_them():
    found = parse_safety("block_none, HARM_CATEGORY_HARASSMENT=OFF,hate_speech=block_only_high", "x")
    assert found["HARM_CATEGORY_HARASSMENT"] == "OFF"
    assert found["HARM_CATEGORY_HATE_SPEECH"] == "BLOCK_ONLY_HIGH"
    assert found["HARM_CATEGORY_DANGEROUS_CONTENT"] == "BLOCK_NONE"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("block_nun", "w: unknown threshold 'block_nun'.*block_none"),
        ("harasment=off", "w: unknown category 'harasment'.*harassment"),
        ("harassment=", "unknown threshold ''"),
    ],
)
def test_typos_are_named(text, said):
    with pytest.raises(UnknownName, match=said):
        parse_safety(text, "w")
