"""Answers and reference answers as points in one plane, by the words that they share.

Term frequencies weighted by rarity (Salton and Buckley, 1988), then the two directions of largest variance
(principal components). Offline and deterministic; near points use alike words, which is less than meaning.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 1500
"""Texts at most; the spectrum of more takes seconds."""
_WIDTH = 4096
_WORD = re.compile(r"\w+")
_READ = 4000


def plane(texts: Sequence[str]) -> NDArray[np.float64]:
    """(n, 2): a point for each text."""
    import numpy as np

    counts = np.zeros((len(texts), _WIDTH))
    for row, text in enumerate(texts):
        for word in _WORD.findall(text[:_READ].casefold()):
            counts[row, zlib.crc32(word.encode()) % _WIDTH] += 1
    present = (counts > 0).sum(axis=0)
    counts *= np.log((1 + len(texts)) / (1 + present)) + 1
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    rows = counts / np.where(lengths > 0, lengths, 1.0)
    rows -= rows.mean(axis=0)
    values, vectors = np.linalg.eigh(rows @ rows.T)
    found = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0.0))
    # The sign of a component is arbitrary: the first text that has any lies on the positive side.
    for k in range(2):
        first = next((v for v in found[:, k] if abs(v) > 1e-12), 1.0)
        found[:, k] *= np.sign(first)
    points: NDArray[np.float64] = found
    return points
