"""What cannot be had from the hub is said in one line; downloads are tested with the tasks that need them."""

import subprocess
import sys

import pytest

from eval_anything.errors import DataError, MissingExtra
from eval_anything.hub import download


def test_without_network_the_data_set_the_revision_and_a_way_out_are_named() -> None:
    with pytest.raises(DataError, match=r"hub data set nobody/nothing at v9: cannot be downloaded") as caught:
        download("nobody/nothing", "v9", ("a.json",))
    assert "--data synthetic" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_hubs_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"pip install 'eval-anything\[hub\]'"):
        download("nobody/nothing", "v9", ("a.json",))


def test_neither_hub_nor_parquet_libraries_are_loaded_before_they_are_used() -> None:
    code = (
        "import sys, eval_anything.hub;"
        "from eval_anything.tasks.amg import instruction, selection, synergy;"
        "print({'huggingface_hub', 'pyarrow', 'numpy', 'torch'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
