"""What `show` says about options: the docstrings under the fields, inherited ones included."""

import msgspec

from eval_anything.docstrings import field_docs


class Base(msgspec.Struct, frozen=True):
    first: int = 1
    """Said once,
    over two lines."""
    second: int = 2
    """Replaced below."""


class Derived(Base, frozen=True):
    second: int = 3
    """Said anew."""
    third: int = 4


def test_docstrings_of_own_and_inherited_fields() -> None:
    assert field_docs(Base) == {"first": "Said once, over two lines.", "second": "Replaced below."}
    assert field_docs(Derived) == {"first": "Said once, over two lines.", "second": "Said anew."}


def test_a_struct_without_source_has_no_words() -> None:
    assert field_docs(msgspec.defstruct("Made", [("field", int)])) == {}
