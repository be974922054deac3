"""SafeSora (arXiv 2406.14477): two videos for a prompt; which is more helpful, which is less harmful.

Files: `config-train.json.gz` and `config-test.json.gz` (or unpacked), `videos/PROMPT_ID/VIDEO_ID.mp4` (or
`videos.tar.gz`). Licence of the data: CC BY-NC 4.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from eval_anything.errors import UnknownName
from eval_anything.records import place, record
from eval_anything.suggest import unknown
from eval_anything.values import File, Message, Text
from eval_anything_train.data import files, tables
from eval_anything_train.data.annotated import NO_WINNER, NOTHING_ASKED, Left
from eval_anything_train.data.media import Places
from eval_anything_train.data.reader import About, Item, Reader
from eval_anything_train.values import Pair, Record

LICENCE = "cc-by-nc-4.0"
PREFERENCES = ("helpfulness", "harmlessness")
_Which = Literal["video_0", "video_1"]
_INFORMATION = ("informativeness", "information")
"""Two spellings of one sub-preference, of which the original's trainer and loader know one each."""


class _Video(msgspec.Struct, frozen=True):
    video_id: str | int
    video_path: str | None = None
    is_safe: bool | None = None


class _Row(msgspec.Struct, frozen=True):
    pair_id: str
    prompt_id: str
    prompt_text: str
    video_0: _Video
    video_1: _Video
    prompt_type: str | None = None
    helpfulness: _Which | None = None
    harmlessness: _Which | None = None
    sub_preferences: dict[str, _Which | None] | None = None


class SafeSora(Reader):
    """Pairs whose chosen video is the more helpful one, or the less harmful one."""

    def __init__(self, path: Path, split: str, preference: str | None) -> None:
        """Raises UnknownName for a preference that is neither, DataError where there are no files."""
        self.preference = preference or PREFERENCES[0]
        if self.preference not in PREFERENCES:
            raise UnknownName(f"safesora: {unknown('preference', self.preference, PREFERENCES)}")
        found, _ = files.find(path, None, split)
        folder = found[0].parent
        packed = [partial(Path, archive) for archive in files.archives(folder)]
        self._places = Places([folder], packed, trusted=True)
        self.about = About(
            name=f"safesora:{path}",
            files=tuple(found),
            licence=LICENCE,
            options={"preference": self.preference},
            notes=(f"SafeSora: the chosen video is the one preferred for its {self.preference}",),
        )

    def items(self, kind: type[Any]) -> Iterator[Item]:
        for path in self.about.files:
            for number, row in tables.rows(path):
                where = place(path, number, row, "pair_id")
                yield Item(number, where, self._made(record(path, number, row, _Row, "pair_id"), where))

    def _made(self, row: _Row, where: str) -> Record | Left:
        better: _Which | None = getattr(row, self.preference)
        if better is None:
            return Left(f"{NO_WINNER} ({self.preference} is not said)")
        if not row.prompt_text.strip():
            return Left(NOTHING_ASKED)
        chosen, rejected = (row.video_0, row.video_1) if better == "video_0" else (row.video_1, row.video_0)
        return Pair(
            id=row.pair_id,
            messages=(Message("user", (Text(row.prompt_text),)),),
            chosen=(self._file(row, chosen, where),),
            rejected=(self._file(row, rejected, where),),
            metadata=_metadata(row, better, chosen, rejected),
        )

    def _file(self, row: _Row, video: _Video, where: str) -> File:
        rule = f"videos/{row.prompt_id}/{video.video_id}"
        names = [f"{rule}.mp4", rule, *filter(None, (video.video_path,))]
        paths = [self._places.find(name, where) for name in names]
        return File(str(next((path for path in paths if path.is_file()), paths[0])), "video")


def _metadata(row: _Row, better: str, chosen: _Video, rejected: _Video) -> dict[str, Any]:
    """The other preferences, as the side that won them."""

    def side(which: str | None) -> str | None:
        return None if which is None else "chosen" if which == better else "rejected"

    subs = {
        _INFORMATION[0] if name in _INFORMATION else name: side(which)
        for name, which in (row.sub_preferences or {}).items()
    }
    found = {
        "prompt_type": row.prompt_type,
        **{name: side(getattr(row, name)) for name in PREFERENCES},
        "sub_preferences": {name: which for name, which in subs.items() if which},
        "chosen_is_safe": chosen.is_safe,
        "rejected_is_safe": rejected.is_safe,
    }
    return {name: value for name, value in found.items() if value is not None}
