"""The synthetic twin of align-anything with language feedback: its columns and files, and the truth behind.

Scenes of shapes and sounds, rendered as real media; a question about each; two replies of which one has more
and graver mistakes; rates, winner, critiques and refinements that follow from the mistakes. A simulated
annotator names the wrong winner as often as `agreement` leaves room for; the language feedback stays true.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

from eval_anything.errors import UsageError
from eval_anything.home import home
from eval_anything.synth.home import write_whole
from eval_anything.synth.scene import Scene
from eval_anything_train.data import twin_feedback
from eval_anything_train.data.columns import SUBTASKS
from eval_anything_train.data.twin_answers import Exchange, Reply
from eval_anything_train.data.twin_rows import KINDS, Kind, Row

VERSION = "1"
SIZE = 200
"""Pairs of the train split, unless asked otherwise; the val split has a tenth of that."""
AGREEMENT = {
    "t2t": (0.732, 0.741),
    "ti2t": (0.625, 0.705),
    "t2i": (0.632, 0.692),
    "ti2ti": (0.627, 0.683),
    "tv2t": (0.621, 0.672),
    "ta2t": (0.618, 0.686),
}
"""How often annotators agree on the winner, without and with language feedback (Table 1 of the paper, of 100
pairs each)."""
_TRUTH = "truth"
_GROUP = 256
"""Rows of a parquet file that lie together."""


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What is behind a row."""

    winner: int
    """The better reply: 1 or 2."""
    named: int
    """The one that the annotator named."""
    scene: Scene
    replies: tuple[Reply, Reply]


def twin_folder(short: str, n: int | None = None, seed: int = 0, agreement: float = 1.0) -> Path:
    """The folder of the twin of a subtask, written first if it is not there."""
    size = SIZE if n is None else n
    folder = home() / "synthetic" / f"align_anything-v{VERSION}-{short}-n{size}-seed{seed}-a{agreement:g}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_twin(folder, short, size, seed, agreement)
    return folder


def write_twin(out: Path, short: str, n: int, seed: int = 0, agreement: float = 1.0) -> None:
    """Write a twin of `n` pairs (and a tenth of that for the val split) to `out`, as a clone of the hub's
    repository has them: `text-image-to-text/train_N.parquet` and so on. Beside it, the truth (`read_truth`).

    `agreement`: the share of rows whose annotator names the better reply; nothing else depends on it. Same
    arguments, same bytes (with one version of pyarrow and of the video encoder). Raises UsageError for a
    subtask that has no twin, DataError where `out` holds something else, StorageError where it cannot be
    written.
    """
    if short not in KINDS:
        raise UsageError(f"{short} has no synthetic twin; these have: {', '.join(KINDS)}")
    if n < 1:
        raise UsageError(f"a synthetic twin needs at least 1 pair, not {n}")
    if not 0 <= agreement <= 1:
        raise UsageError(f"agreement is a share from 0 to 1, not {agreement:g}")
    sizes = {"train": n, "val": max(1, n // 10)}

    def fill(staging: Path) -> None:
        (staging / SUBTASKS[short].name).mkdir()
        (staging / _TRUTH).mkdir()
        for split, size in sizes.items():
            _Split(short, split, seed).write(staging, size, agreement)

    write_whole(out, fill, [f"{_TRUTH}/{short}-{split}.json" for split in sizes])


def read_truth(folder: Path, short: str, split: str = "train") -> list[Truth]:
    """What is behind the rows of a twin, in their order."""
    return msgspec.json.decode(_truth(folder, short, split).read_bytes(), type=list[Truth])


def _truth(folder: Path, short: str, split: str) -> Path:
    return folder / _TRUTH / f"{short}-{split}.json"


class _Split:
    """One split of one subtask."""

    def __init__(self, short: str, split: str, seed: int) -> None:
        self.short, self.split, self.seed = short, split, seed
        self.kind: Kind = KINDS[short]

    def write(self, root: Path, size: int, agreement: float) -> None:
        folder = root / SUBTASKS[self.short].name
        wrong = set(self._rng("annotator").sample(range(size), size - round(agreement * size)))
        truths: list[Truth] = []
        rows = self._rows(folder, size, wrong, truths)
        path = folder / f"{self.split}_{size}"
        if self.kind.parquet:
            _write_parquet(path.with_suffix(".parquet"), rows)
        else:
            path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(list(rows))))
        truth = msgspec.json.format(msgspec.json.encode(truths), indent=1)
        _truth(root, self.short, self.split).write_bytes(truth)

    def _rng(self, what: object) -> Random:
        return Random(f"{self.seed} {self.short} {self.split} {what}")

    def _rows(self, folder: Path, size: int, wrong: set[int], truths: list[Truth]) -> Iterator[Row]:
        def keep(name: str, content: bytes) -> str:
            place, _, own = name.rpartition("/")
            path = folder / place / f"{self.split}-{own}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            return path.relative_to(folder).as_posix()

        for number in range(size):
            rng = self._rng(number)
            exchange = self.kind.exchange(rng)
            winner = rng.choice((1, 2))
            replies = (exchange.better, exchange.worse)
            pair = replies if winner == 1 else replies[::-1]
            named = 3 - winner if number in wrong else winner
            truths.append(Truth(winner=winner, named=named, scene=exchange.scene, replies=pair))
            yield {
                **self.kind.given(number, exchange, keep),
                **self.kind.made(number, pair, keep),
                **{self.kind.models.format(n=n): f"synthetic-{n}" for n in (1, 2)},
                **self._annotations(exchange, pair, named, rng),
            }

    def _annotations(self, exchange: Exchange, pair: tuple[Reply, Reply], named: int, rng: Random) -> Row:
        return {
            **twin_feedback.annotate(pair, named, self.kind.dimensions, self.kind.of),
            **{
                self.kind.critique.format(n=n): twin_feedback.feedback(reply, rng).text.replace("\n", " ")
                for n, reply in enumerate(pair, start=1)
            },
            f"overall_{self.kind.of}": named,
            "overall_textfeedback": twin_feedback.overall(pair, exchange),
        }


def _write_parquet(path: Path, rows: Iterator[Row]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist(list(rows))
    pyarrow.parquet.write_table(table, path, row_group_size=_GROUP)
