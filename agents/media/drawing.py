"""Noise from torch's own generator, for models that draw from no other: seeded for one job, and put back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# The whole process shares that generator.
_DRAWING = threading.Lock()


@contextlib.contextmanager
def seeded(seed: int, device: str) -> Iterator[Callable[[], bool]]:
    """torch's generators, of the CPU and of `device`, as `seed` has them; afterwards as they were.

    Gives a function that says whether anything has been drawn from them since.
    """
    import torch

    devices = [device] if device.startswith("cuda") else []
    with _DRAWING, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        before = _states(devices)

        def drawn() -> bool:
            return not all(torch.equal(old, new) for old, new in zip(before, _states(devices), strict=True))

        yield drawn


def _states(devices: Sequence[str]) -> list[Any]:
    import torch

    return [torch.get_rng_state(), *map(torch.cuda.get_rng_state, devices)]
