"""A folder of media files in place of a model: which file answers what, and what it is when there is none."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from servers.media_files import mp4, png, wav

from eval_anything.errors import DataError, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext, NoOptions
from eval_anything.models.replay import ReplayModel
from eval_anything.values import Audio, Image, Message, Origin, Request, Response, Text, Video


def lay(root: Path, **files: bytes) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def ask(
    folder: Path, store: Path, *wanted: tuple[Any, ...], required: tuple[Any, ...] = ()
) -> list[Response]:
    """Responses to (task, id, repeat), from one started model."""

    async def go() -> list[Response]:
        model = ReplayModel(str(folder), NoOptions())
        await model.start(ModelContext(store=ArtifactStore(store)))
        try:
            return [await model.generate(request(*one, required=required)) for one in wanted]
        finally:
            await model.stop()

    return asyncio.run(go())


def request(*origin: Any, required: tuple[Any, ...] = (), **fields: Any) -> Request:
    return Request(
        messages=(Message("user", (Text("?"),)),),
        output_modalities=required or ("text",),
        required_modalities=required,
        origin=Origin(*origin),
        **fields,
    )


def files(*responses: Response) -> list[list[str]]:
    """Which files the responses hold."""
    return [[part.artifact.lineage.details["file"] for part in r.parts] for r in responses]  # type: ignore[union-attr]


def test_a_sample_is_answered_by_the_file_of_its_name_in_the_benchmarks_own_layout(tmp_path: Path) -> None:
    folder = lay(tmp_path / "images", **{"anime/00012.jpg": png(3), "photo/00012.JPG": png(4)})
    found = ask(folder, tmp_path / "s", ("hpsv2", "anime/00012", 0), ("hpsv2", "photo/00012", 0))
    assert files(*found) == [["anime/00012.jpg"], ["photo/00012.JPG"]]
    image = found[0].parts[0]
    assert isinstance(image, Image)
    assert (image.artifact.sha256, image.artifact.mime) == (hashlib.sha256(png(3)).hexdigest(), "image/png")
    assert image.artifact.lineage is not None
    assert image.artifact.lineage.name == f"replay/{folder}"
    assert (found[0].state, found[0].usage.requests, found[0].usage.images_out) == ("ok", 0, 1)


def test_a_number_after_the_name_is_the_repeat_and_without_one_a_file_serves_all(tmp_path: Path) -> None:
    content = {"005695-0057_0.png": png(1), "005695-0057_1.png": png(2), "b.png": png(3)}
    folder = lay(tmp_path / "images", **content, **{"b_2.png": png(4)})
    wanted = [("t", "005695-0057", 0), ("t", "005695-0057", 1), ("t", "b", 0), ("t", "b", 1), ("t", "b", 2)]
    assert files(*ask(folder, tmp_path / "s", *wanted)) == [
        ["005695-0057_0.png"],
        ["005695-0057_1.png"],
        ["b.png"],
        ["b.png"],
        ["b_2.png"],
    ]


def test_files_below_a_tasks_name_are_for_that_task_alone(tmp_path: Path) -> None:
    folder = lay(tmp_path / "images", **{"one/a.png": png(1), "a.png": png(2), "one/b.png": png(3)})
    found = ask(folder, tmp_path / "s", ("one", "a", 0), ("two", "a", 0), ("one", "b", 0), ("two", "b", 0))
    assert files(*found) == [["one/a.png"], ["a.png"], ["one/b.png"], []]
    assert found[3].state == "skipped"


def test_files_of_several_modalities_are_one_answer(tmp_path: Path) -> None:
    folder = lay(tmp_path / "media", **{"a.mp4": mp4(), "a.wav": wav(), "a.png": png()})
    (found,) = ask(folder, tmp_path / "s", ("t", "a", 0))
    assert {type(part) for part in found.parts} == {Image, Audio, Video}


def test_where_media_are_required_no_file_is_an_answer_without_them_else_nobody_was_asked(
    tmp_path: Path,
) -> None:
    folder = lay(tmp_path / "images", **{"a.png": png()})
    (required,) = ask(folder, tmp_path / "s", ("t", "b", 0), required=("image",))
    assert (required.state, required.parts) == ("ok", ())
    (free,) = ask(folder, tmp_path / "s", ("t", "b", 0))
    assert free.state == "skipped"
    assert free.fault is not None
    assert "no file for sample 'b' of task t" in free.fault.message


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request("t", "a", 0, 0, 2, required=("image",)), "asks 2 requests"),
        (request("t", "a", continuation="x"), "only answers samples of a task"),
    ],
)
def test_what_a_folder_cannot_answer_is_skipped(tmp_path: Path, asked: Request, said: str) -> None:
    from eval_anything.models.replay_folder import MediaFolder

    folder = MediaFolder(lay(tmp_path / "images", **{"a.png": png()}), "images")
    found = folder.respond(asked, ArtifactStore(tmp_path / "s"))
    assert found.state == "skipped"
    assert found.fault is not None
    assert said in found.fault.message


def test_a_broken_file_costs_one_sample(tmp_path: Path) -> None:
    folder = lay(tmp_path / "images", **{"bad.png": png()[:40], "good.png": png()})
    bad, good = ask(folder, tmp_path / "s", ("t", "bad", 0), ("t", "good", 0), required=("image",))
    assert bad.fault is not None
    assert (bad.state, bad.fault.kind, good.state) == ("error", "media", "ok")


def test_names_and_contents_are_the_identity(tmp_path: Path) -> None:
    def identity(**content: bytes) -> str:
        folder = lay(tmp_path / f"{len(list(tmp_path.iterdir()))}", **content)
        return str(ReplayModel(str(folder), NoOptions()).identity()["recording_sha256"])

    first = identity(**{"a.png": png(1), "b.png": png(2)})
    assert first == identity(**{"b.png": png(2), "a.png": png(1), "notes.txt": b"?", ".c.png": b"?"})
    others = [
        identity(**{"a.png": png(1)}),
        identity(**{"a.png": png(2), "b.png": png(1)}),
        identity(**{"a.png": png(1), "c.png": png(2)}),
    ]
    assert len({first, *others}) == 4


def test_a_file_that_changes_after_it_was_read_ends_the_run(tmp_path: Path) -> None:
    from eval_anything.models.replay_folder import MediaFolder

    root = lay(tmp_path / "images", **{"a.png": png(1)})
    folder = MediaFolder(root, "images")
    (root / "a.png").write_bytes(png(2))
    with pytest.raises(UsageError, match=r"a\.png has changed"):
        folder.respond(request("t", "a"), ArtifactStore(tmp_path / "s"))


def test_a_folder_without_media_and_two_files_for_one_sample_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image, audio or video file"):
        ReplayModel(str(lay(tmp_path / "empty", **{"a.txt": b"?"})), NoOptions())
    with pytest.raises(DataError, match=r"a\.jpg and a\.png would answer the same sample"):
        ReplayModel(str(lay(tmp_path / "two", **{"a.png": png(), "a.jpg": png()})), NoOptions())
    with pytest.raises(UsageError, match="no such file or folder"):
        ReplayModel(str(tmp_path / "missing"), NoOptions())


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    root = lay(tmp_path / "images", **{"a.png": png()})
    lay(tmp_path, **{"secret.png": png(5)})
    (root / "b.png").symlink_to(tmp_path / "secret.png")
    (found,) = ask(root, tmp_path / "s", ("t", "b", 0), required=("image",))
    assert found.fault is not None
    assert (found.state, found.fault.kind) == ("error", "media")
