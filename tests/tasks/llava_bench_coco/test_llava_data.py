"""LLaVA-Bench (COCO): the original's files and the hub's mirror, whole and damaged, and its twin."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers.hub_server import HubServer

from eval_anything.errors import DataError, UsageError
from eval_anything.media.convert import load_image
from eval_anything.task import DataSource
from eval_anything.tasks.llava_bench_coco import data
from eval_anything.tasks.llava_bench_coco.twin import read_truth, write_twin

FILES = (data.QUESTIONS, data.ANSWERS, data.CONTEXT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "twin"
    write_twin(out, 6, 0)
    return out


def opened(folder: Path) -> data.Opened:
    return data.read(DataSource(kind="path", path=folder), data.REVISION)


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def mirror(folder: Path, to: Path, **changes: Any) -> Path:
    """The same questions as the mirror holds them: one parquet file with the images in it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for item in opened(folder).items:
        image = (folder / "val2014" / f"COCO_val2014_{item.image}").read_bytes()
        row = {
            "question_id": item.question_id,
            "question": item.question,
            "image": {"bytes": image, "path": item.image},
            "category": item.category,
            "image_id": int(item.image.removesuffix(".jpg")),
            "answer": item.reference,
            "caption": item.captions,
        }
        rows.append({k: v for k, v in {**row, **changes}.items() if v is not None})
    (to / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), to / "data" / "train-00000-of-00001.parquet")
    return to


def test_the_originals_files_are_joined_by_question_and_image(folder: Path) -> None:
    found = opened(folder)
    assert [item.category for item in found.items] == ["conv", "detail", "complex"] * 2
    assert [item.question_id for item in found.items] == [str(i) for i in range(6)]
    first = found.items[0]
    assert first.captions.count("\n") == 4
    assert first.boxes.splitlines()[0].endswith("]")
    assert found.images["0"] == str(folder / "val2014" / "COCO_val2014_000000000001.jpg")
    rewrite(folder / data.ANSWERS, list.reverse)
    assert opened(folder).items == found.items


def test_boxes_are_written_as_the_script_writes_them(folder: Path) -> None:
    boxes = [
        {"category": "cat", "bbox": [0.1, 0.25, 1.0, 0]},
        {"category": "dog", "bbox": [0.0, 0.5, 0.125, 1]},
    ]
    rewrite(folder / data.CONTEXT, lambda rows: rows[0].update(instances=boxes))
    assert opened(folder).items[0].boxes == "cat: [0.1, 0.25, 1.0, 0.0]\ndog: [0.0, 0.5, 0.125, 1.0]"


@pytest.mark.parametrize(
    "name", ["val2014/{}", "images/COCO_val2014_{}", "images/{}", "COCO_val2014_{}", "{}"]
)
def test_images_may_lie_in_either_folder_or_beside_the_files_with_or_without_cocos_prefix(
    folder: Path, name: str
) -> None:
    revision = opened(folder).revision
    for image in list((folder / "val2014").iterdir()):
        target = folder / name.format(image.name.removeprefix("COCO_val2014_"))
        target.parent.mkdir(exist_ok=True)
        image.rename(target)
    found = opened(folder)
    assert Path(found.images["3"]) == folder / name.format("000000000002.jpg")
    assert len(found.revision) == len(revision) == 16


def test_the_mirror_has_the_same_questions_without_boxes(folder: Path, tmp_path: Path) -> None:
    found, original = opened(mirror(folder, tmp_path / "mirror")), opened(folder)
    fields = ("question_id", "question", "category", "reference", "captions")
    for one, other in zip(found.items, original.items, strict=True):
        assert [getattr(one, name) for name in fields] == [getattr(other, name) for name in fields]
        assert one.boxes == ""
        assert (
            Path(found.images[one.question_id]).read_bytes()
            == Path(original.images[one.question_id]).read_bytes()
        )
    assert len({item.image for item in found.items}) == 2
    assert found.notes == ("the mirror has no bounding boxes: the judge is shown the captions alone",)


def test_captions_of_the_mirror_may_be_a_list(folder: Path, tmp_path: Path) -> None:
    found = opened(mirror(folder, tmp_path / "mirror", caption=["one", "two"]))
    assert found.items[0].captions == "one\ntwo"


def test_the_revision_is_that_of_questions_answers_context_and_images(folder: Path) -> None:
    before = opened(folder).revision
    assert opened(folder).revision == before
    seen = {before}
    changes: list[tuple[str, dict[str, Any]]] = [
        (data.QUESTIONS, {"text": "What?"}),
        (data.ANSWERS, {"text": "That."}),
        (data.CONTEXT, {"captions": ["A cat."]}),
    ]
    for name, change in changes:
        rewrite(folder / name, lambda rows, change=change: rows[0].update(change))
        seen.add(opened(folder).revision)
    image = folder / "val2014" / "COCO_val2014_000000000001.jpg"
    image.write_bytes(image.read_bytes() + b"\0")
    seen.add(opened(folder).revision)
    assert len(seen) == 5


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_with_the_layout(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: not there; expected .*qa90_questions.jsonl"):
        opened(folder)


def test_a_folder_of_something_else_is_named_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder; expected the original's files"):
        opened(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"qa90_questions.jsonl: not there; expected .*train-\*.parquet"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (data.QUESTIONS, lambda rows: rows[1].pop("text"), "row 1 .question_id '1'.: .*`text`"),
        (data.QUESTIONS, lambda rows: rows[1].update(category="cov"), "row 1 .*'cov'"),
        (data.QUESTIONS, lambda rows: rows[1].update(question_id=0), "question_id '0' occurs twice"),
        (data.QUESTIONS, lambda rows: rows[1].update(image="../x.jpg"), "row 1 .*regex"),
        (
            data.QUESTIONS,
            lambda rows: rows[3].update(image="7.jpg"),
            "row 3 .*says nothing of its image '7.jpg'",
        ),
        (data.QUESTIONS, lambda rows: rows.clear(), "no rows"),
        (data.ANSWERS, lambda rows: rows.pop(), "row 5 .*no answer with this question_id in qa90_gpt4"),
        (data.ANSWERS, lambda rows: rows.append({"question_id": 9, "text": "x"}), "row 6 .*no question with"),
        (data.ANSWERS, lambda rows: rows[0].update(text=3), "row 0 .*`str`.*text"),
        (data.CONTEXT, lambda rows: rows[0].update(captions="one"), "row 0 .*captions"),
        (data.CONTEXT, lambda rows: rows[0]["instances"][0].update(bbox=[1, 2]), "row 0 .*length >= 4"),
        (data.CONTEXT, lambda rows: rows.pop(), "says nothing of its image '000000000002.jpg'"),
    ],
)
def test_wrong_rows_are_named_with_file_row_and_field(
    folder: Path, name: str, change: Any, message: str
) -> None:
    rewrite(folder / name, change)
    with pytest.raises(DataError, match=message):
        opened(folder)


def test_media_are_checked_before_any_model_is_asked(folder: Path) -> None:
    image = folder / "val2014" / "COCO_val2014_000000000002.jpg"
    whole = image.read_bytes()
    for content, message in ((b"", "empty"), (b"<html>not found</html>", "expected an image")):
        image.write_bytes(content)
        with pytest.raises(DataError, match=rf"000000000002.jpg: .*{message}.*row 3 .question_id '3'"):
            opened(folder)
    image.unlink()
    with pytest.raises(DataError, match=r"COCO_val2014_000000000002.jpg: not there; .*row 3"):
        opened(folder)
    image.write_bytes(whole)
    opened(folder)


def test_files_that_the_layout_does_not_know_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("rule.json", "README.md", "LICENSE", ".cache.json"):
        (folder / name).write_text("{}")
    opened(folder)
    mirror(folder, tmp_path / "mirror")
    (tmp_path / "mirror" / "data" / "test-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"test-00000-of-00001.parquet: not a file of this data set"):
        opened(tmp_path / "mirror")
    (folder / "qa80_questions.jsonl").write_text("")
    with pytest.raises(DataError, match=r"qa80_questions.jsonl: not a file of this data set"):
        opened(folder)


def test_a_mirror_with_wrong_columns_or_without_images_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-.*parquet: no column 'answer' \(it has: .*caption"):
        opened(mirror(folder, tmp_path / "a", answer=None))
    with pytest.raises(DataError, match=r"row 0 .question_id '0'.: expected .*|Expected"):
        opened(mirror(folder, tmp_path / "b", image={"bytes": None, "path": "x.jpg"}))
    with pytest.raises(DataError, match="text, expected an image"):
        opened(mirror(folder, tmp_path / "c", image={"bytes": b"not an image", "path": "x.jpg"}))


def from_hub(folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """A run on a hub that has `folder`."""
    files = {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    command = "run --model fake/echo --judge reference --limit 2 --tasks llava_bench_coco --data hub --out"
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "EVAL_ANYTHING_HOME": str(home)}

    async def serve() -> subprocess.CompletedProcess[str]:
        async with HubServer(data.REPOSITORY, data.REVISION, files) as server:
            return await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "eval_anything", *command.split(), str(home / "run")],
                env={**environment, "HF_ENDPOINT": server.url},
                capture_output=True,
                text=True,
            )

    return asyncio.run(serve())


def test_the_hubs_mirror_is_read_with_a_word_on_its_licence_and_must_have_all_rows(tmp_path: Path) -> None:
    write_twin(tmp_path / "whole", None, 0)
    done = from_hub(mirror(tmp_path / "whole", tmp_path / "mirror"), tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "data from the hub: lmms-lab/llava-bench-coco at main; licence: images of COCO" in done.stderr
    assert "the mirror has no bounding boxes" in done.stdout
    write_twin(tmp_path / "few", 6, 0)
    done = from_hub(mirror(tmp_path / "few", tmp_path / "other"), tmp_path / "other-home")
    assert done.returncode == 2
    assert "6 rows, the published data set has 90: another revision?" in done.stderr


def test_same_size_and_seed_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_twin(tmp_path / name, 9, seed)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 4 + 3
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert all((tmp_path / "a" / f).read_bytes() != (tmp_path / "c" / f).read_bytes() for f in files)


def test_the_twin_has_the_benchmarks_size_and_real_pictures(tmp_path: Path) -> None:
    write_twin(tmp_path / "twin", None, 0)
    found = opened(tmp_path / "twin")
    assert len(found.items) == 90
    assert len(set(found.images.values())) == 30
    assert load_image(Path(found.images["0"])).size == (96, 96)
    truth = read_truth(tmp_path / "twin")
    assert set(truth) == set(found.images)
    with pytest.raises(UsageError, match="at least 1 item"):
        write_twin(tmp_path / "none", 0, 0)
    write_twin(tmp_path / "twin", None, 0)
    shutil.rmtree(tmp_path / "twin" / "val2014")
    with pytest.raises(DataError, match="does not hold this twin"):
        write_twin(tmp_path / "twin", 30, 0)
