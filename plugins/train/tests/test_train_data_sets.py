"""Data sets on disk: read lazily, kept in the cache, the same wherever they lie, and found by their names."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from data_kit import asked, rows, text_of, write_json, write_media, write_parquet
from servers.media_files import png

from eval_anything.errors import DataError, StorageError, UnknownName, UsageError
from eval_anything.home import home
from eval_anything.media.archive import write_tar_gz
from eval_anything.media.zipped import write_zip
from eval_anything.values import File, Text
from eval_anything_train.data import media, schema
from eval_anything_train.data.dataset import fingerprint
from eval_anything_train.data.source import load, open_reader
from eval_anything_train.values import Demonstration, Labelled, Pair, Prompt


def many(path: Path, n: int) -> Path:
    made = [{**rows("t2t")[0], "question": f"q{i}", "id": i} for i in range(n)]
    return write_json(path, made)


def test_records_are_read_one_at_a_time_and_slices_are_views(tmp_path: Path) -> None:
    records = load(str(many(tmp_path / "rows.jsonl", 50)), Pair).records
    assert len(records) == 50
    assert [r.id for r in records] == [str(i) for i in range(50)]
    assert records[-1].messages == asked("q49")
    part = records[10:40:3]
    assert [r.id for r in part] == [str(i) for i in range(10, 40, 3)]
    assert [r.id for r in part[-2:]] == ["34", "37"]
    for index in (50, -51):
        with pytest.raises(IndexError):
            records[index]
    assert len(records[:0]) == 0


def test_threads_may_read_at_once(tmp_path: Path) -> None:
    records = load(str(many(tmp_path / "rows.jsonl", 40)), Pair).records
    wrong: list[int] = []

    def read(start: int) -> None:
        for i in range(400):
            at = (start + 7 * i) % 40
            if records[at].messages != asked(f"q{at}"):
                wrong.append(at)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_fingerprint_is_of_records_and_media_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_media(tmp_path / name)
        write_json(tmp_path / name / "rows.json", rows("tv2t"))
    one, two = (load(str(tmp_path / name / "rows.json"), Pair) for name in ("one", "two"))
    assert fingerprint(one.records) == fingerprint(two.records)
    assert fingerprint(one.records) != fingerprint(load(str(tmp_path / "one" / "rows.json"), Prompt).records)
    assert fingerprint(one.records) != fingerprint(
        load(str(tmp_path / "one" / "rows.json"), Pair, limit=1).records
    )
    with (tmp_path / "two" / "videos" / "a.mp4").open("ab") as file:
        file.write(b"\0" * 8)
    assert fingerprint(load(str(tmp_path / "two" / "rows.json"), Pair).records) != fingerprint(one.records)
    two = load(str(tmp_path / "two" / "rows.json"), Pair)
    (tmp_path / "two" / "videos" / "a.mp4").unlink()
    with pytest.raises(DataError, match=r"record 'rows-0': .*a\.mp4: No such file"):
        _ = fingerprint(two.records)


def test_another_content_under_the_same_name_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for word in ("aaa", "bbb"):  # the same size, and perhaps the same tick of the clock
        write_json(path, [{**rows("t2t")[0], "response_1": word}])
        assert text_of(load(str(path), Pair).records[0].chosen) == word


def test_what_is_cached_is_made_again_when_its_media_are_gone(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "rows.parquet", rows("ti2t"))
    first = load(str(path), Pair)
    shutil.rmtree(media.folder())
    again = load(str(path), Pair)
    assert fingerprint(again.records) == fingerprint(first.records)
    part = again.records[1].messages[0].parts[0]
    assert isinstance(part, File)
    assert Path(part.path).read_bytes() == png(1)


def test_a_set_is_read_once_for_all_loads(tmp_path: Path) -> None:
    path = many(tmp_path / "rows.jsonl", 3)
    load(str(path), Pair)
    made = {p: p.stat().st_mtime_ns for p in (home() / "data" / "train").rglob("records.jsonl")}
    assert [r.id for r in load(str(path), Pair).records] == ["0", "1", "2"]
    assert {p: p.stat().st_mtime_ns for p in (home() / "data" / "train").rglob("records.jsonl")} == made
    assert not list((home() / "data" / "train").glob(".*"))


def test_ids_that_occur_twice_get_their_row_number(tmp_path: Path) -> None:
    made = [{**rows("t2t")[0], "id": name} for name in ("a", "b", "a", "a-2", None, "a")]
    data = load(str(write_json(tmp_path / "rows.jsonl", made)), Pair)
    assert [r.id for r in data.records] == ["a", "b", "a-2", "a-2-3", "rows-4", "a-5"]
    assert data.notes == ("3 ids occurred before: their row numbers were added to them",)


def test_the_first_records_alone(tmp_path: Path) -> None:
    path = many(tmp_path / "rows.jsonl", 9)
    assert [r.id for r in load(str(path), Pair, limit=4).records] == ["0", "1", "2", "3"]
    assert [r.id for r in load(str(path), Labelled, limit=3).records] == [
        "0/chosen",
        "0/rejected",
        "1/chosen",
    ]
    assert len(load(str(path), Pair, limit=100).records) == 9


def test_a_cache_that_cannot_be_written_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "rows.jsonl", 2)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"file/data/train/.*: cannot be written: Not a directory"):
        load(str(path), Pair)


FULL = """
import resource, sys
from eval_anything.errors import StorageError
from eval_anything_train.data.source import load
from eval_anything_train.values import Pair
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    load(sys.argv[1], Pair)
except StorageError as fault:
    print(fault)
"""


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    path = many(tmp_path / "rows.jsonl", 40)
    env = {**os.environ, "EVAL_ANYTHING_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.startswith(f"{tmp_path}/home/data/train/")
    assert done.stdout.endswith(": cannot be written: File too large\n")
    assert list((tmp_path / "home" / "data" / "train").iterdir()) == []


def test_several_processes_may_read_the_same_set_at_once(tmp_path: Path) -> None:
    made = [{**row, "image": {"bytes": png(n), "path": None}} for n, row in enumerate(rows("ti2t") * 60)]
    path = write_parquet(tmp_path / "rows.parquet", made)
    code = (
        "import sys; from eval_anything_train.data.source import load;"
        "from eval_anything_train.data.dataset import fingerprint;"
        "from eval_anything_train.values import Pair; print(fingerprint(load(sys.argv[1], Pair).records))"
    )
    env = {**os.environ, "EVAL_ANYTHING_HOME": str(tmp_path / "home")}
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, env=env)
        for _ in range(3)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert said == [f"{fingerprint(load(str(path), Pair).records)}\n"] * 3
    assert not list((tmp_path / "home" / "data" / "train").glob(".*"))


def layout(folder: Path) -> None:
    """As a clone of the hub has it: folders of subtasks, splits in the names of files."""
    write_json(folder / "text-to-text" / "train_2.json", rows("t2t"))
    write_parquet(folder / "text-to-text" / "val_1k.parquet", rows("t2t")[:1])
    write_parquet(folder / "text-image-to-text" / "train_40k.parquet", rows("ti2t"))


def test_folders_are_read_by_subtask_and_split(tmp_path: Path) -> None:
    layout(tmp_path)
    assert len(load(f"{tmp_path}:t2t", Pair).records) == 2
    assert len(load(f"{tmp_path}:t2t,split=val", Pair).records) == 1
    assert load(f"{tmp_path}:text-image-to-text", Pair).inputs == ("text", "image")
    with pytest.raises(DataError, match="several subtasks, say which: text-image-to-text, text-to-text"):
        load(str(tmp_path), Pair)
    with pytest.raises(DataError, match=r"no file of split 'val'; it has: train_40k\.parquet"):
        load(f"{tmp_path}:ti2t,split=val", Pair)
    with pytest.raises(DataError, match=r"no file of split 'test'; it has: train_2\.json, val_1k\.parquet"):
        load(f"{tmp_path}:t2t", Pair, split="test")
    shutil.rmtree(tmp_path / "text-to-text")
    assert load(str(tmp_path), Pair).subtask == "ti2t"


def test_shards_are_one_set_and_a_file_in_two_formats_is_read_once(tmp_path: Path) -> None:
    for shard in range(3):
        write_parquet(tmp_path / "data" / f"train-{shard:05}-of-00003.parquet", rows("t2t"))
    write_json(tmp_path / "data" / "train-00000-of-00003.json", rows("t2t"))
    (tmp_path / "data" / ".hidden.json").write_text("no")
    data = load(str(tmp_path), Pair)
    assert [r.id for r in data.records][::2] == [f"train-{shard:05}-of-00003-0" for shard in range(3)]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"none: no data file in it; expected \.parquet, \.jsonl"):
        load(str(tmp_path / "none"), Pair)
    with pytest.raises(DataError, match=r"nowhere\.jsonl: no such file or folder"):
        load(str(tmp_path / "nowhere.jsonl"), Pair)


def test_an_empty_split_is_an_error(tmp_path: Path) -> None:
    table = pyarrow.Table.from_pylist(rows("t2t"))
    pyarrow.parquet.write_table(table[:0], tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet: no rows"):
        load(str(tmp_path), Pair)


def test_gzipped_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(rows("t2t")).encode()))
    lines = "\n".join(map(json.dumps, rows("t2t")))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert [r.id for r in load(str(tmp_path), Pair).records] == ["a-0", "a-1", "b-0", "b-1"]


@pytest.mark.parametrize("packed", ["tar", "zip"])
def test_media_may_be_packed_beside_the_rows(packed: str, tmp_path: Path) -> None:
    write_json(tmp_path / "rows.json", rows("ti2ti"))
    files = [(f"images/{n}.png", png(n)) for n in range(3)]
    if packed == "tar":
        write_tar_gz(tmp_path / "images.tar.gz", files)
    else:
        write_zip(tmp_path / "images.zip", files)
    (tmp_path / "other.zip").write_bytes(b"nobody opens this")
    part = load(str(tmp_path), Pair).records[0].chosen[-1]
    assert isinstance(part, File)
    assert Path(part.path).read_bytes() == png(1)


def test_media_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    write_media(tmp_path / "elsewhere")
    path = write_json(tmp_path / "rows.json", rows("ti2ti"))
    with pytest.raises(DataError, match=r"images/0\.png: not there; record 'rows-0'"):
        load(str(path), Pair)
    assert len(load(f"{path}:media={tmp_path}/elsewhere", Pair).records) == 2
    with pytest.raises(DataError, match="gone: no such folder"):
        load(str(path), Pair, media=str(tmp_path / "gone"))
    schema.write(tmp_path / "own.jsonl", [Prompt(id="a", messages=asked("q", File("images/0.png", "image")))])
    (tmp_path / "own.jsonl").write_text(
        (tmp_path / "own.jsonl").read_text().replace(str(Path.cwd()) + "/images", "images")
    )
    found = load(f"{tmp_path}/own.jsonl:media={tmp_path}/elsewhere", Prompt).records[0].messages[0].parts[0]
    assert found == File(str(tmp_path.resolve() / "elsewhere" / "images" / "0.png"), "image")


def test_a_local_file_may_name_media_anywhere(tmp_path: Path) -> None:
    write_media(tmp_path / "far")
    row = {**rows("tv2t")[0], "video_path": f"{tmp_path}/far/videos/a.mp4"}
    near = {**rows("tv2t")[0], "video_path": "../far/videos/a.mp4"}
    data = load(str(write_json(tmp_path / "here" / "rows.jsonl", [row, near])), Pair)
    assert len(data.records) == 2


@pytest.mark.parametrize(
    ("spec", "fault", "said"),
    [
        ("nothing", UsageError, "no training data 'nothing': no file or folder, and none of align-anything"),
        ("a/b/c", UsageError, "no training data 'a/b/c'"),
        ("./a/b", DataError, "a/b: no such file or folder"),
        (
            "align-anything",
            UsageError,
            "say which subtask: PKU-Alignment/align-anything:ti2t, or another of t2t",
        ),
        ("align-anything:ti2", UnknownName, r"did you mean 'ti2t(i)?'\?"),
        ("align-anything:t2a,split=val", DataError, r"text-to-audio has no split 'val'; it has: train"),
        ("synthetic:ti2t,sede=3", UnknownName, "unknown option 'sede'; did you mean 'seed'"),
        ("synthetic:n=many", UsageError, r"\$\.n"),
        ("synthetic:t2a", UsageError, "t2a has no synthetic twin; these have: t2t, ti2t"),
        ("synthetic:t2t,n=0", UsageError, "at least 1 pair, not 0"),
        ("synthetic:t2t,agreement=73", UsageError, "agreement is a share from 0 to 1, not 73"),
        ("safesora", UsageError, "say in which folder its files are: safesora:FOLDER"),
        ("somebody/something:split=train", DataError, "hub data set somebody/something at main: cannot be"),
    ],
)
def test_names_that_are_none_are_explained(spec: str, fault: type[Exception], said: str) -> None:
    with pytest.raises(fault, match=said):
        open_reader(spec)


def test_what_is_given_in_python_wins_over_what_stands_in_the_name(tmp_path: Path) -> None:
    layout(tmp_path)
    assert len(load(f"{tmp_path}:t2t,split=val", Pair, split="train").records) == 2


def test_loading_needs_neither_torch_nor_the_decoding_libraries_before_there_are_media(
    tmp_path: Path,
) -> None:
    path = many(tmp_path / "rows.jsonl", 2)
    code = (
        "import sys;"
        "from eval_anything_train.data.source import load;"
        "from eval_anything_train.values import Pair;"
        "heavy = {'torch', 'numpy', 'PIL', 'av', 'pyarrow', 'transformers', 'huggingface_hub'};"
        "print(heavy & sys.modules.keys(), len(load(sys.argv[1], Pair).records), heavy & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "set() 2 set()\n"


MEASURED = """
import sys
from pathlib import Path
from eval_anything_train.data.source import load
from eval_anything_train.values import Pair

def most():  # of this process alone: what getrusage says begins with the parent's
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1])

load(sys.argv[1], Pair)
before = most()
data = load(sys.argv[2], Pair)
assert sum(len(record.chosen) for record in data.records) == 900
print((most() - before) // 1024)
"""


def test_a_large_file_of_pictures_takes_little_memory(tmp_path: Path) -> None:
    made = [
        {**rows("t2t")[0], "image": {"bytes": png() + os.urandom(200_000), "path": None}} for _ in range(900)
    ]
    small = write_parquet(tmp_path / "small.parquet", made[:60], row_group=30)
    path = write_parquet(tmp_path / "train.parquet", made, row_group=30)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(small), str(path)], capture_output=True, text=True, check=True
    )
    assert path.stat().st_size > 170 << 20
    assert int(done.stdout) < 90  # MB: the allocators keep some of what they had


def test_text_is_all_that_a_demonstration_needs(tmp_path: Path) -> None:
    schema.write(tmp_path / "a.jsonl", [Demonstration(id="a", messages=asked(), answer=(Text("x"),))])
    data = load(str(tmp_path / "a.jsonl"), Demonstration)
    assert (data.inputs, data.outputs, data.subtask, data.synthetic) == (("text",), ("text",), "", False)
