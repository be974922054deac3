from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.results import escape

ANY = st.text(st.characters(exclude_categories=[]), max_size=40)


@given(ANY)
def test_clean_is_one_line_of_harmless_characters(text: str) -> None:
    shown = escape.clean(text)
    assert len(shown.splitlines()) <= 1
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    assert escape.clean(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\u2028d", "a b c d"),
        ("\x1b[31mred\x07\x9b2J\x7f", "[31mred2J"),
        ("gpt\u202e9.9\u202c \u2066x\u2069", "gpt9.9 x"),
        ("\ud800", ""),
        ("\u00fcber \U0001f600 \u6a21\u578b", "\u00fcber \U0001f600 \u6a21\u578b"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert escape.clean(text) == shown


def test_plain_is_cut() -> None:
    assert escape.plain("x" * 400) == "x" * 400
    assert escape.plain("x" * 401) == "x" * 397 + "..."


@given(ANY)
def test_csv_cell_is_never_a_formula(text: str) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerow([escape.csv_cell(text), "end"])
    cell = next(csv.reader(io.StringIO(stream.getvalue())))[0]
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "  =1", "\t=1", "\x00=1", "\u202e=1"])
def test_csv_cell_marks_formulas(text: str) -> None:
    assert escape.csv_cell(text).startswith("'")


def test_csv_cell_leaves_others_alone() -> None:
    assert escape.csv_cell("openai/gpt-4o") == "openai/gpt-4o"


@given(st.text(max_size=40))
def test_json_text_keeps_the_value(text: str) -> None:
    written = escape.json_text(json.dumps({"x": text}, ensure_ascii=False, indent=2))
    assert json.loads(written) == {"x": text}
    assert escape.clean(written.replace("\n", "")) == written.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("[x](y) `c` _e_ *f* ~g~", r"\[x\](y) \`c\` \_e\_ \*f\* \~g\~"),
        ("a\\|b", r"a\\\|b"),
    ],
)
def test_markdown(text: str, shown: str) -> None:
    assert escape.markdown(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("50% & #1 $x_1$ {a}", r"50\% \& \#1 \$x\_1\$ \{a\}"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("~^<>|", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"),
        ("[2cm]", "{}[2cm]"),
        ("*", "{}*"),
        ("a [b]", "a [b]"),
    ],
)
def test_latex(text: str, shown: str) -> None:
    assert escape.latex(text) == shown


def test_html() -> None:
    assert escape.html("<img src=x onerror='a'>&\"") == "&lt;img src=x onerror=&#x27;a&#x27;&gt;&amp;&quot;"
