"""InterMT's pairs in the form that its benchmark reads: turns before, two continuations, dimensions."""

import json
from pathlib import Path
from typing import Any

import pytest
from data_kit import write_json, write_parquet
from servers.media_files import png

from eval_anything.errors import DataError, UnknownName
from eval_anything.values import File, Message, Text
from eval_anything_train.data.source import load
from eval_anything_train.values import Pair, Prompt

LOCAL = {
    "local_image_text_consistency": 2,
    "visual_perceptual_quality": 2,
    "context_coherence": 0,
    "text_quality": 1,
}


def row(**more: Any) -> dict[str, Any]:
    return {
        "front_convs": [
            {
                "round": 1,
                "prompt": "first",
                "prompt_images": ["images/0.png", ""],
                "response": "so",
                "response_images": [],
            }
        ],
        "paired_convs": {
            "round": 2,
            "prompt": "then",
            "prompt_images": [],
            "response_1": "one",
            "response_1_images": ["images/1.png"],
            "response_2": "two",
            "response_2_images": [],
        },
        "local_overall_preference": dict(LOCAL),
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for n in range(2):
        (tmp_path / "images" / f"{n}.png").write_bytes(png(n))
    return tmp_path


def picture(folder: Path, n: int) -> File:
    return File(str(folder.resolve() / "images" / f"{n}.png"), "image")


def test_the_conversation_is_the_prompt_and_most_dimensions_choose(folder: Path) -> None:
    write_json(folder / "pairs.json", [row()])
    data = load(f"intermt:{folder}", Pair)
    (pair,) = data.records
    assert pair.id == "pairs-0"
    assert pair.messages == (
        Message("user", (picture(folder, 0), Text("first"))),
        Message("assistant", (Text("so"),)),
        Message("user", (Text("then"),)),
    )
    assert pair.chosen == (Text("two"),)
    assert pair.rejected == (picture(folder, 1), Text("one"))
    assert pair.metadata == {
        "preferences": {
            "local_image_text_consistency": "chosen",
            "visual_perceptual_quality": "chosen",
            "context_coherence": "tie",
            "text_quality": "rejected",
        }
    }
    assert data.notes == ("InterMT: the chosen response is the one that most dimensions say",)
    (by_text,) = load(f"intermt:{folder}:text_quality", Pair).records
    assert (by_text.chosen, by_text.rejected) == (pair.rejected, pair.chosen)
    assert load(f"intermt:{folder}", Prompt).records[0].messages == pair.messages


def test_parquet_with_cells_of_json_text_and_global_preferences(folder: Path) -> None:
    made = row(overall_preference={"helpfulness": 1})
    del made["local_overall_preference"]
    cells = {name: json.dumps(value) for name, value in made.items()}
    write_parquet(folder / "local_prefernce.parquet", [{**cells, "id": 5}])
    (pair,) = load(f"intermt:{folder}", Pair).records
    assert (pair.id, pair.chosen[-1]) == ("5", Text("one"))
    structs = row()
    structs["front_convs"][0]["response_images"] = [None]
    write_parquet(folder / "local_prefernce.parquet", [structs])
    assert load(f"intermt:{folder}", Pair).records[0].chosen == (Text("two"),)


def test_a_row_without_an_id_has_its_number(folder: Path) -> None:
    write_json(folder / "pairs.jsonl", [row(id="a"), row(), row(id=None), row(id=0)])
    assert [one.id for one in load(f"intermt:{folder}", Pair).records] == ["a", "pairs-1", "pairs-2", "0"]


def test_ties_and_empty_responses_are_left_out(folder: Path) -> None:
    tie = dict.fromkeys(LOCAL, 0) | {"text_quality": 1, "context_coherence": 2}
    empty = {**row()["paired_convs"], "response_2": " "}
    silent = {**row()["paired_convs"], "prompt": ""}
    rows = [row(local_overall_preference=tie), row(paired_convs=empty), row(paired_convs=silent), row()]
    write_json(folder / "pairs.jsonl", rows)
    data = load(f"intermt:{folder}", Pair)
    assert [r.id for r in data.records] == ["pairs-3"]
    assert [note.partition(" (first")[0] for note in data.notes[1:]] == [
        "1 of 4 rows left out: no winner (its dimensions prefer neither response)",
        "1 of 4 rows left out: an answer is empty",
        "1 of 4 rows left out: nothing is asked",
    ]


def test_other_columns_are_named(folder: Path) -> None:
    made = row()
    made["paired_conv"] = made.pop("paired_convs")
    path = write_json(folder / "pairs.json", [made])
    with pytest.raises(DataError) as caught:
        load(f"intermt:{folder}", Pair)
    assert str(caught.value) == (
        f"{path}: no column 'paired_convs', which InterMT's form of pairs has; the nearest is 'paired_conv';"
        " the file has: front_convs, local_overall_preference, paired_conv"
    )
    write_json(folder / "pairs.json", [row(front_convs="[{")])
    with pytest.raises(DataError, match=r"pairs\.json, row 0: front_convs is text that is no JSON"):
        load(f"intermt:{folder}", Pair)
    write_json(folder / "pairs.json", [row(), row(paired_convs={"prompt": "x"})])
    with pytest.raises(DataError, match=r"pairs\.json, row 1: .*`response_1` - at `\$\.paired_convs`"):
        load(f"intermt:{folder}", Pair)


def test_an_unknown_dimension_and_a_missing_image(folder: Path) -> None:
    write_json(folder / "pairs.json", [row()])
    with pytest.raises(UnknownName, match="unknown preference 'textquality'; did you mean 'text_quality'"):
        load(f"intermt:{folder}:textquality", Pair)
    with pytest.raises(DataError, match="nothing to train on; 1 of 1 rows left out: no winner"):
        load(f"intermt:{folder}:helpfulness", Pair)
    (folder / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"images/1\.png: not there; record 'pairs-0' of intermt:"):
        load(f"intermt:{folder}", Pair)
