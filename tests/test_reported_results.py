"""Reading reported results: a number never stands under the wrong model, metric or scale."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from eval_anything.errors import DataError
from eval_anything.reported import read

TABLE: dict[str, Any] = {
    "task": "amu",
    "source": {"title": "A paper", "where": "Table 1"},
    "status": "published",
    "profile": "original",
    "scale": [1, 10],
    "metrics": ["perception", "AMU"],
    "settings": ["base", "DPO"],
    "rows": [
        {
            "model": "m",
            "values": [1.5, 2, None, 4.25],
            "remarks": {"AMU": "Recomputes to 4.", "DPO": "Twice."},
        },
        {"model": "n", "values": [5, 6, 7, 8]},
    ],
}


def written(path: Path, *tables: Any) -> Path:
    path.write_text(yaml.safe_dump({"tables": list(tables)}))
    return path


def test_values_stand_in_the_order_metrics_times_settings(tmp_path: Path) -> None:
    found = read(written(tmp_path / "a.yaml", TABLE))
    assert [(r.model, r.metric, r.setting, r.value) for r in found] == [
        ("m", "perception", "base", 1.5),
        ("m", "perception", "DPO", 2),
        ("m", "AMU", "DPO", 4.25),  # null: the source has no number
        ("n", "perception", "base", 5),
        ("n", "perception", "DPO", 6),
        ("n", "AMU", "base", 7),
        ("n", "AMU", "DPO", 8),
    ]
    assert {(r.task, r.profile, r.status, r.low, r.high, r.source.where) for r in found} == {
        ("amu", "original", "published", 1, 10, "Table 1")
    }


def test_remarks_of_metric_setting_and_table_go_with_their_numbers(tmp_path: Path) -> None:
    found = read(written(tmp_path / "a.yaml", {**TABLE, "remarks": "All."}))
    remarks = {(r.model, r.metric, r.setting): r.remarks for r in found}
    assert remarks["m", "AMU", "DPO"] == "All. Recomputes to 4. Twice."
    assert remarks["m", "perception", "base"] == remarks["n", "AMU", "DPO"] == "All."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scal": [1, 10]}, r"a\.yaml, table 1: .*scal"),
        ({"status": "measured"}, r"a\.yaml, table 1: .*measured.*status"),
        ({"source": {"title": "A paper"}}, r"a\.yaml, table 1: .*where.*source"),
        ({"scale": [1]}, r"a\.yaml, table 1: .*scale"),
        ({"rows": [{"model": "m", "values": [1, 2]}]}, r"row 'm': field `values`: 2 of them; expected 4"),
        ({"rows": [{"model": "m", "values": [1, 2, 3, "4"]}]}, r"row 'm': .*values\[3\]"),
        (
            {"rows": [{"model": "m", "values": [1, 2, 3, 11]}]},
            r"row 'm': field `values`: AMU: 11\.0 is not on",
        ),
        ({"rows": [{"model": "m", "values": [1, 2, 3, float("nan")]}]}, r"row 'm': field `values`: AMU: nan"),
        ({"rows": [{"modell": "m", "values": []}]}, r"table 1 \(amu, Table 1\), row None: .*modell"),
        ({"rows": ["m"]}, r"row 'm'"),
        (
            {"rows": [{"model": "m", "values": [1, 2, 3, 4], "remarks": {"AMUU": "?"}}]},
            r"row 'm': field `remarks`: unknown column 'AMUU'; did you mean 'AMU'",
        ),
        ({"rows": [TABLE["rows"][1], TABLE["rows"][1]]}, r"table 1, row 'n': 'perception' is given twice"),
    ],
)
def test_faults_name_file_table_row_and_field(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    wrong = {**TABLE, **change}
    with pytest.raises(DataError, match=message):
        read(written(tmp_path / "a.yaml", {**TABLE, "task": "other"}, wrong))


def test_an_open_scale_takes_any_number(tmp_path: Path) -> None:
    rows = [{"model": "m", "values": [-2.3, 0, 1, 30]}]
    (first, *_, last) = read(written(tmp_path / "a.yaml", {**TABLE, "scale": [None, None], "rows": rows}))
    assert (first.value, first.low, last.value, last.high) == (-2.3, None, 30, None)


@pytest.mark.parametrize("text", ["tables: [", "- 1\n", "tables:\n- 3\n", "table: []\n"])
def test_what_is_no_file_of_tables_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(DataError, match=r"a\.yaml"):
        read(tmp_path / "a.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b\.yaml: not readable"):
        read(tmp_path / "b.yaml")
