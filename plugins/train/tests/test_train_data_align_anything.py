"""align-anything's rows by their real columns: all subtasks, language feedback, and what is left out."""

from pathlib import Path
from typing import Any

import pytest
from data_kit import CRITICISED, RATED, asked, rows, shown, text_of, write_json, write_media, write_parquet
from servers.media_files import png, wav

from eval_anything.errors import DataError, UnknownName
from eval_anything.media.convert import load_audio
from eval_anything.values import File, Text
from eval_anything_train.data.columns import SUBTASKS
from eval_anything_train.data.source import load
from eval_anything_train.values import Critiqued, Demonstration, Feedback, Labelled, Pair, Prompt

SHORTS = ("t2t", "ti2t", "ta2t", "tv2t", "t2i", "t2a", "t2v", "ti2ti")


def written(folder: Path, short: str, made: list[dict[str, Any]] | None = None) -> str:
    """A folder with one file of one subtask."""
    write_media(folder)
    found = made if made is not None else rows(short)
    inside = any(isinstance(value, bytes | dict) for row in found for value in row.values())
    write = write_parquet if inside else write_json
    write(folder / f"train_2{'.parquet' if inside else '.json'}", found)
    return str(folder)


@pytest.mark.parametrize("short", SHORTS)
def test_every_subtask_is_read_by_its_columns_and_told_by_them(short: str, tmp_path: Path) -> None:
    found = load(written(tmp_path, short), Pair)
    assert found.subtask == short
    first, second = found.records
    of = SUBTASKS[short]
    question = first.messages[0].parts
    assert [part.modality for part in question if isinstance(part, File)] == ([of.given] if of.given else [])
    assert text_of(question) == "q"  # align-anything's mark of the video's place is gone
    if of.text:
        assert [text_of(r.chosen) for r in (first, second)] == ["one", "two"]
        assert [text_of(r.rejected) for r in (first, second)] == ["two", "one"]
    media = [part for part in first.chosen if isinstance(part, File)]
    assert [part.modality for part in media] == ([of.made] if of.made else [])
    if of.made:
        assert first.chosen[-1] == second.rejected[-1] != first.rejected[-1]
    assert first.rates == {"prompt_following": (3, 1), "clarity": (2, 3)}
    assert second.rates == {"prompt_following": (1, 3), "clarity": (3, 2)}
    assert (first.id, second.id) == ("train_2-0", "train_2-1")
    assert found.inputs == (("text", of.given) if of.given else ("text",))
    assert found.outputs == (*(["text"] if of.text else []), *([of.made] if of.made else []))
    assert load(str(tmp_path), Pair, subtask=of.name).records[0] == first


@pytest.mark.parametrize("short", SHORTS)
def test_the_other_kinds_have_the_same_rows(short: str, tmp_path: Path) -> None:
    where = written(tmp_path, short, [*rows(short), {**rows(short)[0], **tie(short)}])
    pairs = load(where, Pair).records
    assert [(r.id, r.answer) for r in load(where, Demonstration).records] == [(p.id, p.chosen) for p in pairs]
    assert [(r.id, r.messages) for r in load(where, Prompt).records] == [(p.id, p.messages) for p in pairs]
    labelled = load(where, Labelled).records
    assert [(r.answer, r.desirable) for r in labelled] == [
        answer for p in pairs for answer in ((p.chosen, True), (p.rejected, False))
    ]
    assert len({r.id for r in labelled}) == 4
    for kind in (Pair, Demonstration, Prompt, Labelled):
        (note,) = load(where, kind).notes
        assert note.startswith("1 of 3 rows left out: no winner (overall_")
        assert note.endswith(f"(first: {tmp_path}/{Path(where, found(tmp_path)).name}, row 2)")


def found(folder: Path) -> str:
    return next(path.name for path in folder.iterdir() if path.name.startswith("train_2"))


def tie(short: str) -> dict[str, Any]:
    return {next(name for name in rows(short)[0] if name.startswith("overall_")): 0}


@pytest.mark.parametrize("winner", [0, 3, -1, None, "tie", "", 1.5, [1]])
def test_a_pair_without_a_winner_is_left_out_and_all_without_are_an_error(
    winner: Any, tmp_path: Path
) -> None:
    good, bad = rows("t2t")[0], {**rows("t2t")[0], "overall_response": winner}
    path = write_json(tmp_path / "a.jsonl", [bad, good])
    assert [r.id for r in load(str(path), Pair).records] == ["a-1"]
    path = write_json(tmp_path / "b.jsonl", [bad, bad])
    with pytest.raises(DataError, match=r"b\.jsonl: nothing to train on; 2 of 2 rows left out: no winner"):
        load(str(path), Pair)


@pytest.mark.parametrize("winner", [2, 2.0, "2"])
def test_a_winner_may_be_written_as_any_number(winner: Any, tmp_path: Path) -> None:
    row = {**rows("t2t")[0], "overall_response": winner}
    assert text_of(load(str(write_json(tmp_path / "a.jsonl", [row])), Pair).records[0].chosen) == "two"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"response_1": ""}, "an answer is empty"),
        ({"response_2": " \n"}, "an answer is empty"),
        ({"response_2": None}, "an answer is empty"),
        ({"response_2": "one"}, "both answers are the same"),
        ({"question": ""}, "nothing is asked"),
    ],
)
def test_empty_answers_and_questions_are_left_out_and_counted(
    change: dict[str, Any], why: str, tmp_path: Path
) -> None:
    good = rows("t2t")
    path = write_json(
        tmp_path / "rows.jsonl", [good[0], {**good[0], **change}, {**good[1], **change}, good[1]]
    )
    for kind in (Pair, Prompt, Demonstration):
        data = load(str(path), kind)
        assert data.notes == (f"2 of 4 rows left out: {why} (first: {path}, row 1)",)
        assert [r.id for r in data.records] == ["rows-0", "rows-3"]


def test_an_image_answer_that_is_missing_is_an_empty_answer(tmp_path: Path) -> None:
    made = rows("t2i")
    made[1]["image_2"] = None
    assert (
        load(written(tmp_path, "t2i", made), Pair).notes[0].startswith("1 of 2 rows left out: an answer is")
    )


def test_language_feedback_goes_to_the_answer_that_it_is_on(tmp_path: Path) -> None:
    made = [{**row, **CRITICISED, "res_1_from": "a", "res_2_from": "b"} for row in rows("t2t")]
    path = str(write_json(tmp_path / "rows.jsonl", made))
    first, second = load(path, Pair).records
    right, wrong = (
        Feedback(critique="Right.", refinement="Be shorter."),
        Feedback(critique="Wrong.", refinement="Look again."),
    )
    assert (first.feedback_chosen, first.feedback_rejected) == (right, wrong)
    assert (second.feedback_chosen, second.feedback_rejected) == (wrong, right)
    assert first.metadata == {
        "subtask": "t2t",
        "chosen_from": "a",
        "rejected_from": "b",
        "overall_feedback": CRITICISED["overall_textfeedback"],
    }
    critiques = load(path, Critiqued).records
    assert [(text_of(r.answer), r.feedback) for r in critiques] == [
        ("one", right),
        ("two", wrong),
        ("two", wrong),
        ("one", right),
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text_1_feedback": "##Critique: a ##Refinement: b"}, Feedback(critique="a", refinement="b")),
        ({"image_1_feedback": "##Critique: a ##Refinement: b"}, Feedback(critique="a", refinement="b")),
        ({"critique_1": "a", "refinement_1": "b"}, Feedback(critique="a", refinement="b")),
        ({"feedback_1": "no heads"}, Feedback(critique="no heads")),
        (
            {"text_critique_1": "##Critique: a", "image_critique_1": "##Critique: b ##Refinement: c"},
            Feedback(critique="a\nb", refinement="c"),
        ),
        ({"text_critique_1": ""}, None),
        ({}, Feedback(critique="It does what was asked.\nA bit long.")),  # the rationales
    ],
)
def test_feedback_has_several_names(
    columns: dict[str, str], expected: Feedback | None, tmp_path: Path
) -> None:
    path = write_json(tmp_path / "rows.jsonl", [{**rows("t2t")[0], **columns}])
    assert load(str(path), Pair).records[0].feedback_chosen == expected


def test_data_without_feedback_cannot_teach_it(tmp_path: Path) -> None:
    plain = {name: value for name, value in rows("t2t")[0].items() if name not in RATED}
    path = write_json(tmp_path / "rows.jsonl", [plain])
    with pytest.raises(DataError, match="nothing to train on; 1 of 1 rows left out: no language feedback"):
        load(str(path), Critiqued)


def test_refined_rows_prefer_the_refinement(tmp_path: Path) -> None:
    row = {
        "prompt": "q",
        "image": shown(png()),
        "response": "bad",
        "refinement": "good",
        "critique": "##Critique: c",
    }
    (pair,) = load(str(write_parquet(tmp_path / "llf.parquet", [row])), Pair).records
    assert (text_of(pair.chosen), text_of(pair.rejected)) == ("good", "bad")
    assert pair.feedback_rejected == Feedback(critique="c")
    assert isinstance(pair.messages[0].parts[0], File)
    sound = {"prompt": "q", "audio": "a.wav", "response": "bad", "refinement": "good"}
    (tmp_path / "a.wav").write_bytes(wav())
    (pair,) = load(str(write_json(tmp_path / "llf.jsonl", [sound])), Pair).records
    assert pair.messages[0].parts[0] == File(str(tmp_path.resolve() / "a.wav"), "audio")
    assert pair.feedback_rejected is None


def test_critiques_of_two_answers_are_demonstrations(tmp_path: Path) -> None:
    write_media(tmp_path)
    images = {"output_image_url_1": "images/1.png", "output_image_url_2": "images/2.png"}
    texts = {"response_1": "one", "response_2": "two"}
    row = {
        "question": "q",
        "image_url": "images/0.png",
        **texts,
        **images,
        "feedback": "Response 1, because.",
    }
    path = str(write_json(tmp_path / "judged.json", [row]))
    (record,) = load(path, Demonstration).records
    assert text_of(record.answer) == "Response 1, because."
    words = text_of(record.messages[0].parts)
    assert words.endswith("##Question: q\n##Response 1: one\n##Response 2: two")
    media = [Path(part.path).name for part in record.messages[0].parts if isinstance(part, File)]
    assert media == ["0.png", "1.png", "2.png"]
    with pytest.raises(
        DataError, match=r"judged\.json: its rows have answers to imitate .* not pair records"
    ):
        load(path, Pair)


def test_stated_pairs_and_demonstrations(tmp_path: Path) -> None:
    write_media(tmp_path)
    stated = {
        "input_text": "<image>q",
        "input_image": "images/0.png",
        "better_text": "good",
        "better_img": ["images/1.png", "images/2.png"],
        "worse_text": "bad",
        "worse_img": None,
    }
    (pair,) = load(str(write_json(tmp_path / "stated.json", [stated])), Pair).records
    assert text_of(pair.messages[0].parts) == "q"
    assert [Path(p.path).name for p in pair.chosen if isinstance(p, File)] == ["1.png", "2.png"]
    assert pair.rejected == (Text("bad"),)
    plain = {"question": "q", "chosen": "good", "rejected": "bad"}
    (pair,) = load(str(write_json(tmp_path / "plain.jsonl", [plain])), Pair).records
    assert (pair.messages, pair.chosen) == (asked(), (Text("good"),))
    shown_once = {"prompt": "q", "response": "a"}
    (record,) = load(str(write_json(tmp_path / "sft.jsonl", [shown_once])), Demonstration).records
    assert record.answer == (Text("a"),)


def test_wrong_columns_are_named_with_the_nearest_right_one_and_all_there_are(tmp_path: Path) -> None:
    row = rows("ti2t")[0]
    row["overall_respons"] = row.pop("overall_response")
    path = write_parquet(tmp_path / "rows.parquet", [row])
    with pytest.raises(DataError) as caught:
        load(str(path), Pair, subtask="ti2t")
    said = str(caught.value)
    assert said.startswith(
        f"{path}: no column 'overall_response', which align-anything's text-image-to-text has;"
    )
    assert "; the nearest is 'overall_respons'; " in said
    assert "the file has: question, image, response_1" in said
    with pytest.raises(DataError, match="columns are those of no subtask of align-anything: question, image"):
        load(str(path), Pair)
    path = write_parquet(tmp_path / "text.parquet", rows("t2t"))
    with pytest.raises(
        DataError, match=r"no column 'image' \(nor image_url, .*\), which align-anything's text-im"
    ):
        load(str(path), Pair, subtask="text-image-to-text")


def test_a_json_row_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    made = rows("t2t")
    del made[1]["response_2"]
    with pytest.raises(DataError, match=r"rows\.json, row 1: no response_2"):
        load(str(write_json(tmp_path / "rows.json", made)), Pair)
    made = rows("t2t")
    made[1]["response_2"] = ["two"]
    with pytest.raises(DataError, match=r"rows\.jsonl, row 1: response_2 is list, expected text"):
        load(str(write_json(tmp_path / "rows.jsonl", made)), Pair)
    made = rows("t2t")
    made[0]["clarity_rate_1"] = "high"
    with pytest.raises(DataError, match=r"row 0: clarity_rate_1 is 'high', expected a number"):
        load(str(write_json(tmp_path / "rates.jsonl", made)), Pair)


def test_an_unknown_subtask_gets_the_nearest_name(tmp_path: Path) -> None:
    path = str(write_json(tmp_path / "rows.jsonl", rows("t2t")))
    with pytest.raises(UnknownName, match=r"unknown subtask 'ti2tt'; did you mean 'ti2t(i)?'\?"):
        load(path, Pair, subtask="ti2tt")
    with pytest.raises(UnknownName, match=r"did you mean 'text-image-to-text'\?"):
        load(f"{path}:text-images-to-text", Pair)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"rows\.parquet: not readable as parquet"):
        load(str(path), Pair)
    (tmp_path / "rows.json").write_text('[{"question": ')
    with pytest.raises(DataError, match=r"rows\.json: neither a JSON list nor JSON lines"):
        load(str(tmp_path / "rows.json"), Pair)
    (tmp_path / "rows.jsonl").write_text('{"question": "q"\n')
    with pytest.raises(DataError, match=r"rows\.jsonl, row 0: .*truncated"):
        load(str(tmp_path / "rows.jsonl"), Pair)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"empty\.jsonl: no rows"):
        load(str(tmp_path / "empty.jsonl"), Pair)
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"rows\.csv: \.csv; expected a data file: \.parquet"):
        load(str(tmp_path / "rows.csv"), Pair)
    (tmp_path / "rows.json.gz").write_bytes(b"\x1f\x8b and no more")
    with pytest.raises(DataError, match=r"rows\.json\.gz: neither a JSON list"):
        load(str(tmp_path / "rows.json.gz"), Pair)


def test_a_missing_medium_is_named_with_its_record_before_training(tmp_path: Path) -> None:
    where = written(tmp_path, "tv2t")
    (tmp_path / "videos" / "a.mp4").unlink()
    with pytest.raises(DataError, match=r"videos/a\.mp4: not there; record 'train_2-0' of .* names it"):
        load(where, Pair)
    (tmp_path / "videos" / "a.mp4").write_text("<html>gone</html>")
    with pytest.raises(DataError, match=r"a\.mp4: HTML, expected a video; record 'train_2-0'"):
        load(where, Pair)


def test_a_broken_medium_inside_a_row_is_named_with_its_row(tmp_path: Path) -> None:
    made = rows("ti2t")
    made[1]["image"]["bytes"] = png()[:40]
    with pytest.raises(DataError, match=r"train_2\.parquet, row 1: image: image of 40 bytes: is"):
        load(written(tmp_path, "ti2t", made), Pair)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"array": [[0.1]], "sampling_rate": None}, "sampling_rate is None, expected hertz"),
        ({"array": ["x"], "sampling_rate": 8000}, "array is not one of numbers"),
        ({"array": [], "sampling_rate": 8000}, r"array has the shape \(0,\), expected samples"),
        ({"bytes": None, "path": None}, "NoneType is no audio: expected bytes or a path"),
        (3, "int is no audio: expected bytes or a path"),
        ("https://example.com/a.wav", "is no file; media are not fetched from the web"),
    ],
)
def test_a_cell_that_is_no_medium_is_named(value: Any, said: str, tmp_path: Path) -> None:
    row = {**rows("t2t")[0], "audio_path": value}
    path = write_json(tmp_path / "rows.jsonl", [row])
    with pytest.raises(DataError, match=rf"rows\.jsonl, row 0: audio_path: .*{said}"):
        load(str(path), Pair, subtask="ta2t")


def test_sound_as_samples_becomes_a_wav_file(tmp_path: Path) -> None:
    mono = {"array": [0.0, 0.5, -0.5, 0.25], "sampling_rate": 8000, "path": None}
    both = {"array": [[0.5] * 12, [0.0] * 12], "sampling_rate": 8000}
    made = [{**rows("t2t")[0], "audio_path": value} for value in (mono, both)]
    found = load(str(write_json(tmp_path / "rows.jsonl", made)), Pair, subtask="ta2t").records
    first, second = (Path(r.messages[0].parts[0].path) for r in found)  # type: ignore[union-attr]
    assert first.suffix == ".wav"
    assert load_audio(first, 8000).tolist() == [0.0, 0.5, -0.5, 0.25]
    assert load_audio(second, 8000).tolist() == [0.25] * 12  # the mean of two channels


def test_media_that_a_kind_has_no_use_for_are_left_where_they_are(tmp_path: Path) -> None:
    where = written(tmp_path, "t2v")
    (tmp_path / "videos" / "b.mp4").unlink()
    with pytest.raises(DataError, match=r"b\.mp4: not there"):
        load(where, Pair)
    assert len(load(where, Prompt).records) == 2
