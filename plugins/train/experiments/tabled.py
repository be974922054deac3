"""The results of the closed loop as a table and a plot."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import worth

from eval_anything.report import plots

Floats = npt.NDArray[np.float64]
_DRAWS = 10_000
_STYLE = (
    "text{font:13px sans-serif;fill:#444}.label,.value{font-size:12px}.label{text-anchor:end}"
    ".mid{text-anchor:middle}"
    ".grid{stroke:#ddd}.axis{stroke:#888}.whisker{stroke:#222;stroke-width:1.5;fill:none}"
    ".series0{fill:#8a8f98}.series1{fill:#3f7fbf}.series2{fill:#2e9e6b}.series3{fill:#c98b2b}"
)


class Line(NamedTuple):
    """One arm."""

    name: str
    seeds: tuple[float, ...]
    """The score of each seed."""
    value: float
    low: float
    high: float
    against: tuple[float, float, float]
    """Difference to the initial model on the same questions: mean, and its 95 % interval."""


def lines(runs: Mapping[str, Sequence[Path]]) -> list[Line]:
    """`runs`: of each arm, the scored run of each seed. Intervals: questions are drawn anew 10,000 times,
    each with all its answers (of all seeds); how much training varies is shown by the seeds' own scores."""
    scores = {arm: _matrix(folders) for arm, folders in runs.items()}
    first = next(iter(scores.values()))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, first.shape[1], (_DRAWS, first.shape[1]))
    found = []
    for arm, matrix in scores.items():
        questions, change = matrix.mean(axis=0), (matrix - first).mean(axis=0)
        low, high = np.percentile(questions[drawn].mean(axis=1), (2.5, 97.5))
        less, more = np.percentile(change[drawn].mean(axis=1), (2.5, 97.5))
        found.append(
            Line(
                arm,
                tuple(float(v) for v in matrix.mean(axis=1)),
                float(questions.mean()),
                float(low),
                float(high),
                (float(change.mean()), float(less), float(more)),
            )
        )
    return found


def _matrix(folders: Sequence[Path]) -> Floats:
    """(seeds, questions); an answer without a score counts 0, which the truth judge never gives none of."""
    rows = [_scores(folder / "samples_held_out.jsonl") for folder in folders]
    names = sorted(rows[0])
    assert all(sorted(row) == names for row in rows), "the seeds were scored on different questions"
    return np.array([[row[name] for name in names] for row in rows])


def _scores(path: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(text)
        value = row["score"]
        if value is None:
            raise ValueError(f"{path}: sample {row['id']} has no score")
        found[row["id"]] = float(value)
    return found


def write(
    folder: Path,
    found: Sequence[Line],
    about: Mapping[str, str],
    told: Mapping[str, Any],
    pairs: Sequence[str],
) -> None:
    """RESULTS.md's tables (between their marks; the words around them stay) and closed_loop.svg in `folder`.

    `pairs`: rows of the table of what the pairs are worth.
    """
    table = ["| | score | difference to the initial model | each seed |", "|---|---|---|---|"]
    for one in found:
        change = "" if one is found[0] else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*one.against)
        seeds = ", ".join(f"{value:.3f}" for value in one.seeds)
        table.append(
            f"| **{one.name}**: {about[one.name]} | {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
            f" | {change} | {seeds} |"
        )
    setting = ", ".join(f"{k}={v}" for k, v in told.items() if k not in ("training", "sampling"))
    body = "\n".join(
        (
            *table,
            "",
            worth.HEADER,
            *pairs,
            "",
            f"Settings: {setting}; the trainings' own are in `closed_loop.py`.",
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "RESULTS.md"
    old = path.read_text(encoding="utf-8") if path.is_file() else f"# Results\n\n{_BEGIN}\n{_END}\n"
    before, _, rest = old.partition(_BEGIN)
    path.write_text(f"{before}{_BEGIN}\n{body}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")
    (folder / "closed_loop.svg").write_text(_plot(found), encoding="utf-8")


_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


def _plot(found: Sequence[Line]) -> str:
    """Differences to the first line, in hundredths."""
    bars = [
        plots.Bar(_short(one.name), *(100 * value for value in one.against), 2 if "LLF" in one.name else 1)
        for one in found[1:]
    ]
    most = math.ceil(max(abs(value) for bar in bars for value in (bar.low or 0, bar.high or 0)))
    drawn = plots.bars(bars, -most, most, f"hundredths of the score more or less than {found[0].name}")
    svg = drawn[drawn.index("<svg") : drawn.index("</svg>") + 6]
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{_STYLE}</style>", 1
    )


def _short(name: str) -> str:
    return name.replace(" without", ", no").replace("of the feedback", "of feedback")
