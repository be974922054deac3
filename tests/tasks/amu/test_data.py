"""AMU's files as the hub, a folder and the twin hold them, whole and damaged."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers.hub_server import HubServer

from eval_anything.errors import DataError
from eval_anything.media.archive import write_tar_gz
from eval_anything.task import DataSource
from eval_anything.tasks.amu import data


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from eval_anything.tasks.amu.task import AMU

    folder = tmp_path_factory.mktemp("twins") / "amu"
    AMU.write_synthetic(folder, 12, 5)
    return folder


def record(**changes: Any) -> dict[str, Any]:
    annotation = {"answer": "a", "keywords": {"visual": ["v"], "auditory": []}}
    whole = {
        "question_id": 1,
        "question": "q",
        "visual_modality_path": "visual/1.png",
        "auditory_modality_path": "auditory/1.wav",
        "evaluation_dimension": "perception",
        "annotations": [annotation] * 10,
        "something_else": "kept out of the way",
    }
    return {**whole, **changes}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_the_twin_reads_as_the_benchmark(twin: Path) -> None:
    records = data.read_records(twin / "config.json", "all")
    assert len(records) == 12
    assert {r.evaluation_dimension for r in records} == set(data.DIMENSIONS)


def test_numeric_ids_become_text_and_lists_by_subset_are_joined(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.json",
        {"image": [record()], "video": [record(question_id="2", visual_modality_path="b.mp4")]},
    )
    assert [r.question_id for r in data.read_records(path, "all")] == ["1", "2"]
    assert [r.question_id for r in data.read_records(path, "video")] == ["2"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("not a list", "expected a list of records"),
        (
            [record(evaluation_dimension="percption")],
            r"record 0 \(question_id 1\).*did you mean 'perception'",
        ),
        ([record(annotations=[])], "record 0.*expected 10 annotations, found 0"),
        ([record(), record()], "question_id '1' occurs twice"),
        ([record(question=3)], r"record 0.*question"),
        ([{k: v for k, v in record().items() if k != "question_id"}], "record 0.*question_id"),
        (["text"], "record 0"),
        ([], "no records"),
    ],
)
def test_a_wrong_record_is_named_with_its_field(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.read_records(write(tmp_path / "config.json", value), "all")


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('[{"question_id": ')
    with pytest.raises(DataError, match=r"config.json: not JSON"):
        data.read_records(tmp_path / "config.json", "all")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config.json: not there"):
        data.locate(DataSource(kind="path", path=tmp_path), data.REVISION)
    write(tmp_path / "config.json", [record()])
    with pytest.raises(DataError, match=r"visual.tar.gz: not there, nor the unpacked folder visual/"):
        data.locate(DataSource(kind="path", path=tmp_path), data.REVISION)


@pytest.mark.parametrize("member", ["visual/1.png", "1.png", "./visual/1.png"])
@pytest.mark.parametrize("path", ["visual/1.png", "1.png"])
def test_paths_hold_whether_or_not_archive_and_record_name_the_folder(
    tmp_path: Path, member: str, path: str
) -> None:
    write(tmp_path / "config.json", [record(visual_modality_path=path)])
    write_tar_gz(tmp_path / "visual.tar.gz", [(member, b"picture")])
    write_tar_gz(tmp_path / "auditory.tar.gz", [("auditory/1.wav", b"sound")])
    folder = data.locate(DataSource(kind="path", path=tmp_path), data.REVISION)
    assert data.media_path(folder.media, "visual", path).read_bytes() == b"picture"


def test_other_media_under_the_same_records_are_another_revision(tmp_path: Path) -> None:
    write(tmp_path / "config.json", [record()])
    for name in ("visual/1.png", "auditory/1.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"one")
    source = DataSource(kind="path", path=tmp_path)
    before = data.locate(source, data.REVISION).revision
    assert data.locate(source, data.REVISION).revision == before
    (tmp_path / "visual/1.png").write_bytes(b"another")
    assert data.locate(source, data.REVISION).revision != before


def test_unpacked_folders_are_used_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "config.json", [record()])
    for name in ("visual", "auditory"):
        (tmp_path / name).mkdir()
    assert data.locate(DataSource(kind="path", path=tmp_path), data.REVISION).media == tmp_path


def test_an_archive_that_leads_out_is_refused(tmp_path: Path) -> None:
    import io
    import tarfile

    write(tmp_path / "config.json", [record()])
    write_tar_gz(tmp_path / "auditory.tar.gz", [("auditory/1.wav", b"sound")])
    with tarfile.open(tmp_path / "visual.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("../../escaped.png")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(DataError, match=r"escaped.png"):
        data.locate(DataSource(kind="path", path=tmp_path), data.REVISION)
    assert not list(tmp_path.parent.rglob("escaped.png"))


LOCATE = """
import sys
from eval_anything.tasks.amu import data
from eval_anything.task import DataSource
from eval_anything.errors import DataError
try:
    folder = data.locate(DataSource(kind="hub"), sys.argv[1])
except DataError as fault:
    sys.exit(f"DataError: {fault}")
print(len(data.read_records(folder.root / "config.json", "all")))
print((folder.root / "amu_eval_prompt.py").exists(), folder.note)
"""


def from_hub(url: str, revision: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's library reads its endpoint when it is imported."""
    own = {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "EVAL_ANYTHING_HOME": str(home / "ours"),
    }
    own |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, "-c", LOCATE, revision],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **own, **more},
    )


def with_hub(twin: Path, use: Callable[[HubServer], Any]) -> Any:
    files = {f.name: f.read_bytes() for f in twin.iterdir() if f.is_file() and f.name != "truth.json"}
    files |= {"amu_eval_prompt.py": b'A = "a"\n', "EvalAnything-AMU.py": b"raise SystemExit('executed')\n"}

    async def serve() -> Any:
        async with HubServer(data.REPOSITORY, data.REVISION, files) as server:
            return await asyncio.to_thread(use, server)

    return asyncio.run(serve())


def test_the_hubs_raw_files_are_read_at_the_pinned_revision_and_no_script_is_fetched(
    twin: Path, tmp_path: Path
) -> None:
    def use(server: HubServer) -> None:
        done = from_hub(server.url, data.REVISION, tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[:2] == ["12", "True"]
        assert not any("EvalAnything-AMU.py" in path for path in server.asked if "resolve" in path)
        before = len(server.asked)
        assert from_hub(server.url, data.REVISION, tmp_path, HF_HUB_OFFLINE="1").returncode == 0
        assert len(server.asked) == before

    with_hub(twin, use)


def test_an_unknown_revision_and_no_network_are_one_clear_line(twin: Path, tmp_path: Path) -> None:
    def use(server: HubServer) -> None:
        done = from_hub(server.url, "0" * 40, tmp_path)
        assert done.returncode == 1
        line, fault = done.stderr.splitlines()
        assert line.endswith("licence: CC BY-NC 4.0 (data)"), "shown before the download"
        assert fault.startswith("DataError: hub data set PKU-Alignment/EvalAnything-AMU at 000")

    with_hub(twin, use)
    done = from_hub("http://127.0.0.1:9", data.REVISION, tmp_path / "empty", HF_HUB_OFFLINE="1")
    assert "DataError: hub data set PKU-Alignment/EvalAnything-AMU" in done.stderr
    assert "--data synthetic" in done.stderr
    assert "Traceback" not in done.stderr
