"""The examination: held-out preferences about real files, judged by the harness's own judge."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from eval_anything.judges.synergy import answer as asked
from eval_anything.judges.synergy.preprocess import read_audio, read_image
from eval_anything.judges.synergy.scorer import PairScore, Scorer
from eval_anything.synth import audio, image
from eval_anything_train.share import Share
from eval_anything_train.synergy import preferences
from eval_anything_train.synergy.preferences import PairName, Preference

_TOGETHER = 32
"""Preferences that are judged in one go."""
_TURNED = 10
"""Of so many preferences, one is judged in the other order as well."""
PUBLISHED = 0.664
"""Agreement of the published judge with people (Align Anything, arXiv 2412.15838)."""
_NEAR, _FAR = 0.25, 0.6


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement with the known preference."""

    seed: str
    agreement: dict[str, Share]
    """By pair of modalities, and of all."""
    by_difference: dict[str, Share]
    """By how far the two answers' known synergies lie apart."""
    by_length: dict[str, Share]
    """Where the better answer's words are more, and where they are fewer."""
    longer: tuple[float, float]
    """How often the longer words are preferred: by the judge, and in truth."""
    turned: Share
    """Same verdict with the two answers in the other order."""


def examine(folder: Path, per_pair: int, seed: str) -> Report:
    """Judge `per_pair` preferences of each pair of modalities; no stage of training has their seeds."""
    scorer = Scorer.load(folder, "cpu", "float32")
    drawn = [
        preferences.draw(Random(f"exam {seed} {pair} {number}"), pair)
        for pair in preferences.PAIRS
        for number in range(per_pair)
    ]
    margins = _margins(scorer, drawn)
    agrees = [margin > 0 for margin in margins]
    some = drawn[::_TURNED]
    turned = [margin > 0 for margin in _margins(scorer, some, turned=True)]
    return Report(
        seed=seed,
        agreement={
            **{p: _of(agrees, [d.pair == p for d in drawn]) for p in preferences.PAIRS},
            "all": Share.among(agrees),
        },
        by_difference={
            f"under {_NEAR}": _of(agrees, [_apart(d) < _NEAR for d in drawn]),
            f"{_NEAR} to {_FAR}": _of(agrees, [_NEAR <= _apart(d) < _FAR for d in drawn]),
            f"over {_FAR}": _of(agrees, [_apart(d) >= _FAR for d in drawn]),
        },
        by_length={
            "better is longer": _of(agrees, [_longer(d) > 0 for d in drawn]),
            "better is shorter": _of(agrees, [_longer(d) < 0 for d in drawn]),
        },
        longer=_prefers_longer(drawn, agrees),
        turned=Share.among(a == b for a, b in zip(agrees[::_TURNED], turned, strict=True)),
    )


def _apart(drawn: Preference) -> float:
    return drawn.better.synergy - drawn.worse.synergy


def _longer(drawn: Preference) -> int:
    return len(drawn.better.text) - len(drawn.worse.text)


def _of(agrees: Sequence[bool], chosen: Sequence[bool]) -> Share:
    return Share.among(agree for agree, counts in zip(agrees, chosen, strict=True) if counts)


def _prefers_longer(drawn: Sequence[Preference], agrees: Sequence[bool]) -> tuple[float, float]:
    differ = [(_longer(d) > 0, agree) for d, agree in zip(drawn, agrees, strict=True) if _longer(d)]
    judged = sum(better_longer == agree for better_longer, agree in differ)
    return judged / len(differ), sum(better_longer for better_longer, _ in differ) / len(differ)


def _margins(scorer: Scorer, drawn: Sequence[Preference], *, turned: bool = False) -> list[float]:
    """By how much the better answer's score is higher; `turned`: judged after the worse one."""
    found: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(drawn), _TOGETHER):
            some = drawn[start : start + _TOGETHER]
            sides = ("worse", "better") if turned else ("better", "worse")
            answers = [_read(one, side, Path(folder)) for one in some for side in sides]
            each = [one.pair for one in some for _ in range(2)]
            scores = [_end(scored[pair]) for pair, scored in zip(each, scorer.run(answers), strict=True)]
            pairs = zip(scores[::2], scores[1::2], strict=True)
            found += [second - first if turned else first - second for first, second in pairs]
    return found


def _end(score: PairScore | str) -> float:
    assert isinstance(score, PairScore), score
    return float(score.end)


def _read(drawn: Preference, side: str, folder: Path) -> asked.Answer:
    one: preferences.Answer = getattr(drawn, side)
    pair: PairName = drawn.pair
    picture = sound = None
    if "image" in pair:
        (folder / "a.png").write_bytes(image.png(one.shown))
        picture = read_image(folder / "a.png")
    if "audio" in pair:
        (folder / "a.wav").write_bytes(audio.wav(one.sounding))
        sound = read_audio(folder / "a.wav")
    return asked.Answer(drawn.prompt, one.text if "text" in pair else None, picture, sound)


def table(report: Report) -> str:
    """The report in Markdown."""
    lines = ["| preferences about | agreement |", "|---|---|"]
    lines += [f"| {name} | {share} |" for name, share in report.agreement.items()]
    lines += [f"| known difference {name} | {share} |" for name, share in report.by_difference.items()]
    lines += [f"| {name} | {share} |" for name, share in report.by_length.items()]
    judge, truth = report.longer
    lines += [
        "",
        f"The longer words are preferred in {100 * judge:.1f} % by the judge, {100 * truth:.1f} % in truth.",
        f"With the two answers in the other order, {report.turned} of the verdicts are the same.",
    ]
    return "\n".join(lines)
