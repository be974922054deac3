from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.errors import DataError
from eval_anything.prompts import PromptSet, fill, string_constants


@given(st.text(), st.text())
def test_values_are_pasted_in_one_pass(first: str, second: str) -> None:
    """Braces in a value are never taken for placeholders."""
    assert fill("<{a}|{b}>", {"a": first, "b": second}) == f"<{first}|{second}>"


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    assert fill("{response} {secret}", {"response": "{secret}", "secret": "x"}) == "{secret} x"


def test_a_placeholder_without_value_names_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'response'"):
        fill("{respnse}", {"response": "x"})


def prompts(tmp_path: Path) -> Path:
    own = tmp_path / "own"
    own.mkdir()
    (own / "system.md").write_text("S")
    (own / "user.md").write_text("U {a} {response}")
    return own


def test_files_replace_templates_of_the_same_name_and_change_the_digest(tmp_path: Path) -> None:
    own, other = prompts(tmp_path), tmp_path / "other"
    other.mkdir()
    (other / "user.md").write_text("mine {response}")
    plain, replaced = PromptSet(own, ("system", "user")), PromptSet(own, ("system", "user"), other)
    assert (replaced["system"], replaced["user"]) == ("S", "mine {response}")
    assert plain.digest() != replaced.digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{respnse}", "unknown placeholder 'respnse'; did you mean 'response'"), ("{a}", "no {response}")],
)
def test_a_template_that_cannot_work_is_refused_at_once(tmp_path: Path, text: str, message: str) -> None:
    own, other = prompts(tmp_path), tmp_path / "other"
    other.mkdir()
    (other / "user.md").write_text(text)
    with pytest.raises(DataError, match=message):
        PromptSet(own, ("system", "user"), other)


def test_a_folder_without_any_of_the_files_is_refused(tmp_path: Path) -> None:
    own, other = prompts(tmp_path), tmp_path / "other"
    other.mkdir()
    (other / "usr.md").write_text("typo")
    with pytest.raises(DataError, match=r"holds none of system.md, user.md"):
        PromptSet(own, ("system", "user"), other)
    with pytest.raises(DataError, match="no such folder"):
        PromptSet(own, ("system", "user"), tmp_path / "missing")


def test_string_constants_are_read_and_never_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    file = tmp_path / "prompt.py"
    file.write_text(
        f'import pathlib\npathlib.Path({str(marker)!r}).touch()\nA = """one"""\nB: int = 3\nC = f"{{A}}"\n'
    )
    assert string_constants(file) == {"A": "one"}
    assert not marker.exists()
    file.write_text("A = (\n")
    with pytest.raises(DataError, match="not readable as Python source"):
        string_constants(file)
