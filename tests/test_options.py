from typing import Literal

import msgspec
import pytest

from eval_anything.errors import UnknownName, UsageError
from eval_anything.options import parse, split


class Options(msgspec.Struct, frozen=True):
    size: int = 3
    kind: Literal["a", "b"] = "a"
    exact: bool = False


class Others(msgspec.Struct, frozen=True):
    rate: float = 1.0


def test_strings_become_values() -> None:
    assert parse(Options, {"size": "7", "exact": "true"}, "-M") == Options(size=7, exact=True)


def test_a_typo_names_the_nearest_option() -> None:
    with pytest.raises(UnknownName, match="-M: unknown option 'szie'; did you mean 'size'"):
        parse(Options, {"szie": "7"}, "-M")


@pytest.mark.parametrize("values", [{"size": "seven"}, {"kind": "c"}, {"exact": "perhaps"}])
def test_a_wrong_value_names_its_field(values: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        parse(Options, values, "-M")


def test_one_flat_mapping_over_several_structs() -> None:
    assert split({"rate": "2", "size": 1}, (Options, Others), "-M") == [Options(size=1), Others(rate=2.0)]
    with pytest.raises(UnknownName, match="did you mean 'rate'"):
        split({"rat": "2"}, (Options, Others), "-M")
