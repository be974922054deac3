"""Which records make up which step."""

from __future__ import annotations

import pytest

from eval_anything_train.order import Plan


def test_each_record_is_seen_once_in_an_epoch_and_epochs_differ() -> None:
    plan = Plan(records=11, epochs=3, batch_size=2, accumulate=2)
    assert (plan.steps_per_epoch, plan.steps) == (3, 9)
    epochs = [[i for n in range(3 * e, 3 * e + 3) for i in plan.step(n).indices] for e in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(11))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [plan.step(n).epoch for n in (0, 2, 3, 8)] == [0, 0, 1, 2]


def test_the_order_follows_from_the_seed_alone() -> None:
    steps = [Plan(20, 1, 4, seed=7).step(n) for n in range(5)]
    assert [Plan(20, 1, 4, seed=7).step(n) for n in range(5)] == steps
    assert [Plan(20, 1, 4, seed=8).step(n) for n in range(5)] != steps


@pytest.mark.parametrize(
    ("size", "accumulate", "processes"), [(8, 1, 1), (4, 2, 1), (4, 1, 2), (2, 2, 2), (1, 4, 2)]
)
def test_a_step_has_the_same_records_however_its_size_comes_about(
    size: int, accumulate: int, processes: int
) -> None:
    plan = Plan(21, 2, size, accumulate, processes)
    whole = Plan(21, 2, 8)
    assert plan.steps == whole.steps
    for number in range(plan.steps):
        step = plan.step(number)
        assert step.indices == whole.step(number).indices
        assert all(len(passes) == processes for passes in step.cells)
        assert all(len(cell) <= size for passes in step.cells for cell in passes)


def test_a_short_last_step_has_no_empty_pass_and_may_leave_a_process_idle() -> None:
    step = Plan(9, 1, 2, accumulate=2, processes=2).step(1)
    assert [[len(cell) for cell in passes] for passes in step.cells] == [[1, 0]]
