"""Batches ahead of the step."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_training import demonstrations, settings_of
from torch import Tensor

from eval_anything.errors import DataError
from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded, TooLongError
from eval_anything_train.feed import Feed
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.order import Plan
from eval_anything_train.settings import Settings
from eval_anything_train.values import Demonstration


class Counting(Method[Demonstration, Encoded]):
    """Encodes a record as its number, and remembers who asked for what."""

    name = "counting"
    takes = Demonstration

    def __init__(self, long: Sequence[str] = (), broken: Sequence[str] = ()) -> None:
        self.long, self.broken = long, broken
        self.asked: list[str] = []
        self.threads: set[str] = set()

    def encode(self, record: Demonstration) -> Encoded:
        self.asked.append(record.id)
        self.threads.add(threading.current_thread().name)
        if record.id in self.long:
            raise TooLongError(f"record {record.id!r}: too long")
        if record.id in self.broken:
            raise DataError(f"record {record.id!r}: broken")
        ids = torch.tensor([int(record.id[1:]), 0])
        return Encoded(id=record.id, input_ids=ids, response=torch.tensor([False, True]))

    def collate(self, items: Sequence[Encoded]) -> Batch:
        return collate(items, 0)

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        raise NotImplementedError


def feed(method: Counting, plan: Plan, process: int = 0, **more: object) -> Feed:
    settings: Settings = settings_of(Path("m"), Path("o"), accumulate=plan.accumulate, **more)
    return Feed(method, demonstrations(plan.records), plan, settings, process)


@pytest.mark.parametrize("workers", [1, 4])
def test_batches_come_in_the_order_of_the_plan(workers: int) -> None:
    plan = Plan(13, 2, 2, accumulate=2)
    method = Counting()
    for step, micros in feed(method, plan, workers=workers).steps():
        seen = [int(name[1:]) for micro in micros if micro.batch for name in micro.batch.ids]
        assert tuple(seen) == step.indices
        assert sum(micro.records for micro in micros) == len(seen)
        assert sum(micro.weight for micro in micros) == len(seen)
        assert all(micro.tokens == 2 * micro.records for micro in micros)
    assert len(method.asked) == 26
    assert all(name.startswith("encode") for name in method.threads)


def test_processes_make_the_same_batches_as_threads() -> None:
    plan = Plan(13, 2, 2, accumulate=2)
    made = {}
    for where in ("threads", "processes"):
        method = Counting(long=["r3"])
        fed = feed(method, plan, workers=2, encode_in=where, too_long="skip")
        made[where] = [
            [(m.batch.ids if m.batch else None, m.tokens, m.skipped) for m in micros]
            for _, micros in fed.steps(2)
        ]
    assert made["processes"] == made["threads"]
    assert not method.asked  # not here, that is


def test_what_a_process_raises_comes_when_its_step_is_due() -> None:
    plan = Plan(8, 1, 1)
    order = [plan.step(n).indices[0] for n in range(8)]
    steps = feed(Counting(broken=[f"r{order[3]}"]), plan, workers=2, encode_in="processes").steps()
    assert [next(steps)[0].number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match=f"^record 'r{order[3]}': broken$"):
        next(steps)
    with pytest.raises(DataError, match="every record is longer"):
        list(
            feed(
                Counting(long=[f"r{i}" for i in range(8)]), plan, encode_in="processes", too_long="skip"
            ).steps()
        )


def test_it_can_begin_in_the_middle() -> None:
    plan = Plan(8, 2, 2)
    whole = [[m.batch.ids for m in micros if m.batch] for _, micros in feed(Counting(), plan).steps()]
    rest = [[m.batch.ids for m in micros if m.batch] for _, micros in feed(Counting(), plan).steps(5)]
    assert rest == whole[5:]


def test_no_more_is_made_than_is_needed_soon() -> None:
    plan = Plan(100, 1, 1, accumulate=2)
    method = Counting()
    steps = feed(method, plan, workers=2).steps()
    next(steps)
    time.sleep(0.2)
    # A step of two, as many ahead, one for each thread, and the one that made room.
    assert 2 < len(method.asked) <= 2 + 2 + 2 + 1
    steps.close()  # type: ignore[attr-defined]
    held = len(method.asked)
    time.sleep(0.1)
    assert len(method.asked) == held


def test_a_broken_record_is_an_error_when_its_step_is_due() -> None:
    plan = Plan(8, 1, 1)
    order = [plan.step(n).indices[0] for n in range(8)]
    steps = feed(Counting(broken=[f"r{order[3]}"]), plan, workers=4).steps()
    assert [next(steps)[0].number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match=f"'r{order[3]}': broken"):
        next(steps)


def test_a_process_without_records_of_its_own_takes_part_with_one_of_the_step() -> None:
    plan = Plan(6, 1, 1, processes=2)
    first, second = (index for (cell,) in zip(*plan.step(1).cells, strict=True) for index in cell)
    method = Counting(long=[f"r{second}"])
    micros = [list(feed(method, plan, process, too_long="skip").steps())[1][1][0] for process in (0, 1)]
    assert [(micro.weight, micro.records, micro.skipped) for micro in micros] == [(1.0, 1, 0), (0.0, 0, 1)]
    assert [micro.batch.ids for micro in micros if micro.batch] == [(f"r{first}",)] * 2


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("start", [0, 1])
def test_nothing_but_records_that_are_too_long(processes: int, start: int) -> None:
    method = Counting(long=[f"r{number}" for number in range(4)])
    given = feed(method, Plan(4, 2, 2 // processes, processes=processes), too_long="skip")
    with pytest.raises(DataError, match="every record is longer than max_length, 2048 tokens"):
        next(given.steps(start))


def test_one_record_that_fits_is_looked_for_once() -> None:
    method = Counting(long=[f"r{number}" for number in range(3)])
    micros = [m for _, (m,) in feed(method, Plan(4, 3, 1), too_long="skip", workers=1).steps()]
    assert [sum(m.records for m in micros), sum(m.skipped for m in micros)] == [3, 9]
    assert len(method.asked) <= 3 * 4 + 1 + 4
