"""SafeSora's pairs: by helpfulness or harmlessness, both spellings, videos by the path rule."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from data_kit import asked
from servers.media_files import mp4

from eval_anything.errors import DataError, UnknownName
from eval_anything.media.archive import write_tar_gz
from eval_anything.values import File
from eval_anything_train.data.source import load
from eval_anything_train.values import Demonstration, Pair, Prompt


def row(**more: Any) -> dict[str, Any]:
    return {
        "pair_id": "pair",
        "prompt_id": "p1",
        "prompt_text": "a lake",
        "prompt_type": "safety_critical",
        "video_0": {"video_id": "v0", "video_path": "old/v0.mp4", "is_safe": True, "video_labels": {}},
        "video_1": {"video_id": "v1", "is_safe": False},
        "helpfulness": "video_1",
        "harmlessness": "video_0",
        "sub_preferences": {
            "instruction_following": "video_1",
            "correctness": "video_0",
            "informativeness": "video_1",
            "aesthetics": None,
        },
        **more,
    }


def write(folder: Path, rows: list[dict[str, Any]], split: str = "train") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"config-{split}.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    (folder / "videos" / "p1").mkdir(parents=True, exist_ok=True)
    for name in ("v0", "v1"):
        (folder / "videos" / "p1" / f"{name}.mp4").write_bytes(mp4())
    return folder


def video(folder: Path, name: str) -> tuple[File]:
    return (File(str(folder.resolve() / "videos" / "p1" / f"{name}.mp4"), "video"),)


def test_the_chosen_video_is_the_preferred_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "safe", [row()])
    data = load(f"safesora:{folder}", Pair)
    (pair,) = data.records
    assert (pair.id, pair.messages) == ("pair", asked("a lake"))
    assert (pair.chosen, pair.rejected) == (video(folder, "v1"), video(folder, "v0"))
    assert pair.metadata == {
        "prompt_type": "safety_critical",
        "helpfulness": "chosen",
        "harmlessness": "rejected",
        "sub_preferences": {
            "instruction_following": "chosen",
            "correctness": "rejected",
            "informativeness": "chosen",
        },
        "chosen_is_safe": False,
        "rejected_is_safe": True,
    }
    assert (data.outputs, data.licence) == (("video",), "cc-by-nc-4.0")
    assert data.notes == ("SafeSora: the chosen video is the one preferred for its helpfulness",)
    (safer,) = load(f"safesora:{folder}:harmlessness", Pair).records
    assert (safer.chosen, safer.rejected) == (pair.rejected, pair.chosen)
    assert safer.metadata["harmlessness"] == "chosen"
    assert load(f"safesora:{folder}", Pair, preference="harmlessness").records[0] == safer
    assert load(f"safesora:{folder}", Demonstration).records[0].answer == pair.chosen


def test_both_spellings_of_information_are_one(tmp_path: Path) -> None:
    folder = write(tmp_path, [row(sub_preferences={"information": "video_0"})])
    (pair,) = load(f"safesora:{folder}", Pair).records
    assert pair.metadata["sub_preferences"] == {"informativeness": "rejected"}


def test_videos_may_lie_without_an_ending_where_the_row_says_or_in_the_archive(tmp_path: Path) -> None:
    folder = write(tmp_path / "bare", [row()])
    for path in (folder / "videos" / "p1").iterdir():
        path.rename(path.with_suffix(""))
    assert load(f"safesora:{folder}", Pair).records[0].chosen[0] == File(
        str(folder.resolve() / "videos" / "p1" / "v1"), "video"
    )
    folder = write(tmp_path / "old", [row()])
    (folder / "old").mkdir()
    (folder / "videos" / "p1" / "v0.mp4").rename(folder / "old" / "v0.mp4")
    assert load(f"safesora:{folder}", Pair).records[0].rejected[0].path.endswith("/old/old/v0.mp4")  # type: ignore[union-attr]
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "config-train.json").write_text(json.dumps([row()]))
    write_tar_gz(folder / "videos.tar.gz", [(f"videos/p1/v{n}.mp4", mp4()) for n in (0, 1)])
    (part,) = load(f"safesora:{folder}", Pair).records[0].chosen
    assert isinstance(part, File)
    assert Path(part.path).read_bytes() == mp4()


def test_rows_without_the_preference_are_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path, [row(helpfulness=None, pair_id="a"), row(pair_id="b"), row(prompt_text=" ")])
    data = load(f"safesora:{folder}", Pair)
    assert [r.id for r in data.records] == ["b"]
    config = folder / "config-train.json.gz"
    assert data.notes[1:] == (
        f"1 of 3 rows left out: no winner (helpfulness is not said) (first: {config}, row 0 (pair_id 'a'))",
        f"1 of 3 rows left out: nothing is asked (first: {config}, row 2 (pair_id 'pair'))",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"helpfulness": "video_2"}, r"'video_2' - at `\$\.helpfulness`"),
        ({"video_1": None}, r"\$\.video_1"),
        ({"video_1": {"video_path": "x"}}, r"required field `video_id` - at `\$\.video_1`"),
        ({"sub_preferences": {"correctness": 1}}, r"\$\.sub_preferences"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = write(tmp_path, [row(), row(**change)])
    with pytest.raises(DataError, match=rf"config-train\.json\.gz, row 1 \(pair_id 'pair'\): .*{said}"):
        load(f"safesora:{folder}", Pair)


def test_missing_files_and_wrong_names(tmp_path: Path) -> None:
    folder = write(tmp_path, [row()])
    with pytest.raises(UnknownName, match="unknown preference 'helpfulnes'; did you mean 'helpfulness'"):
        load(f"safesora:{folder}:helpfulnes", Pair)
    with pytest.raises(DataError, match=r"no file of split 'test'; it has: config-train\.json\.gz"):
        load(f"safesora:{folder}:split=test", Pair)
    with pytest.raises(DataError, match="gone: no such file or folder"):
        load(f"safesora:{tmp_path}/gone", Pair)
    (folder / "videos" / "p1" / "v1.mp4").unlink()
    with pytest.raises(DataError, match=r"videos/p1/v1\.mp4: not there; record 'pair' of safesora:"):
        load(f"safesora:{folder}", Pair)
    assert len(load(f"safesora:{write(tmp_path, [row()], 'test')}:split=test", Prompt).records) == 1
