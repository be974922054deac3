"""Batches ahead of the step: workers decode, encode and collate while the model computes."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch.utils.data import DataLoader, Dataset

from eval_anything.errors import DataError, UsageError
from eval_anything_train.collate import Batch
from eval_anything_train.encode import TooLongError
from eval_anything_train.methods.base import Training
from eval_anything_train.order import Cell, Plan, Step
from eval_anything_train.settings import Settings
from eval_anything_train.values import Record


@dataclasses.dataclass(frozen=True)
class Micro:
    """The batch of one forward pass."""

    batch: Batch | None
    """None where all its records were skipped, and nobody waits for this process."""
    weight: float
    """How much it counts in the step; 0 for a stand-in, whose gradients are zero."""
    records: int = 0
    tokens: int = 0
    """Padding left out."""
    skipped: int = 0


class Feed:
    """Encodes the batches of one process, in the order of `plan`."""

    def __init__(
        self,
        method: Training[Any, Any],
        records: Sequence[Record],
        plan: Plan,
        settings: Settings,
        process: int = 0,
    ) -> None:
        self.method = method
        self.records = records
        self.plan = plan
        self.settings = settings
        self.process = process
        self._fits = False
        """Whether a record is known that is not too long."""

    def steps(self, start: int = 0) -> Iterator[tuple[Step, list[Micro]]]:
        """The steps from `start` on. Raises the DataError of a record when its step is due, and one
        where every record is too long."""
        numbers = range(start, self.plan.steps)
        micros = self._ahead(self.plan.step(number) for number in numbers)
        try:
            for number in numbers:
                step = self.plan.step(number)
                yield step, [next(micros) for _ in step.cells]
        finally:
            micros.close()

    def _ahead(self, steps: Iterable[Step]) -> Generator[Micro]:
        """The batches of `steps`; as many are made beforehand as a step has, and one for each worker."""
        if self.settings.encode_in == "processes":
            yield from self._by_processes(list(steps))
            return
        ahead = self.settings.accumulate + self.settings.workers
        waiting: deque[Future[Micro]] = deque()
        pool = ThreadPoolExecutor(self.settings.workers, thread_name_prefix="encode")
        try:
            for step in steps:
                for cells in step.cells:
                    waiting.append(pool.submit(self._micro, cells[self.process], step))
                    if len(waiting) > ahead:
                        yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _by_processes(self, steps: Sequence[Step]) -> Generator[Micro]:
        """The same by processes, which Python's lock does not hold up. Raises UsageError without fork."""
        if "fork" not in multiprocessing.get_all_start_methods():
            raise UsageError("encode_in: processes are forked, which this system cannot do: use threads")
        loader = DataLoader(
            _Micros(self, steps),
            batch_size=None,
            num_workers=self.settings.workers,
            prefetch_factor=1 + math.ceil(self.settings.accumulate / self.settings.workers),
            multiprocessing_context="fork",  # nothing of a method needs to be pickled
            collate_fn=_as_it_is,
        )
        for micro in loader:
            if isinstance(micro, Exception):
                raise micro
            yield micro

    def _micro(self, cell: Cell, step: Step) -> Micro:
        items = [item for item in map(self._item, cell) if item is not None]
        skipped = len(cell) - len(items)
        if items:
            self._fits = True
            batch = self.method.collate(items)
            return Micro(batch, self.method.weight(batch), len(items), batch.tokens, skipped)
        if self.plan.processes == 1:
            if not self._fits:  # training on nothing would end as if all were well
                self._stand_in(step)
            return Micro(None, 0.0, skipped=skipped)
        # The other processes exchange gradients with this one: it takes part with a record of theirs.
        return Micro(self.method.collate([self._stand_in(step)]), 0.0, skipped=skipped)

    def _item(self, index: int) -> Any | None:
        try:
            return self.method.encode(self.records[index])
        except TooLongError:
            if self.settings.too_long == "skip":
                return None
            raise

    def micro(self, cell: Cell, step: Step) -> Micro | Exception:
        """A batch, or what was raised instead: that of another process keeps its type so."""
        try:
            return self._micro(cell, step)
        except Exception as fault:  # noqa: BLE001 - raised when its step is due
            return fault

    def _stand_in(self, step: Step) -> Any:
        """A record of the same step, so that no parameter gets a gradient (of zeros) that would have none."""
        found = (self._item(index) for index in (*step.indices, *range(len(self.records))))
        item = next((item for item in found if item is not None), None)
        if item is None:
            raise DataError(f"every record is longer than max_length, {self.settings.max_length} tokens")
        self._fits = True
        return item


class _Micros(Dataset[Micro | Exception]):
    """All batches of one process, by number."""

    def __init__(self, feed: Feed, steps: Sequence[Step]) -> None:
        self.feed = feed
        self.cells = [(cells[feed.process], step) for step in steps for cells in step.cells]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, place: int) -> Micro | Exception:
        return self.feed.micro(*self.cells[place])


def _as_it_is(micro: Micro | Exception) -> Micro | Exception:
    return micro
