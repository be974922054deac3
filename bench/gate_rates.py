"""How often the gate is wrong: false alarms without a change, and changes of the detectable size found.

    python bench/gate_rates.py [--pairs 1000]

Simulated pairs of runs: samples differ in difficulty (clusters of one to four), answers in luck, scores are
rounded to a judge's scale. With a true drop of just what is tolerated (0: no change), alarms must be at most
alpha; with one of the minimal detectable effect (of the metric, so that what the ends of the scale cut off is
made up for), 80 % are to be found. Of 1,000 pairs, a rate of 5 % is between 3.7 and 6.4 % by chance alone,
one of 80 % between 77.5 and 82.5 %.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np

from eval_anything.paired.draws import Both
from eval_anything.paired.power import detectable, p_value, threshold
from eval_anything.stats.aggregate import Means
from eval_anything.stats.cell import Verdict

ALPHA, POWER, DRAWS = 0.05, 0.8, 1000
MEANS = Means(overall="m", low=1, high=10)


@dataclass
class Setting:
    name: str
    samples: int
    largest_cluster: int
    rounded: bool
    tolerated: float = 0.0


SETTINGS = (
    Setting("164 samples, whole ratings", 164, 1, True),
    Setting("300 samples, clusters of up to 4", 300, 4, False),
    Setting("1000 samples, whole ratings", 1000, 1, True),
    Setting("300 samples, clusters, 0.2 tolerated", 300, 4, False, 0.2),
)


def verdicts(values: np.ndarray, clusters: list[str]) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(id=f"{i:05}", repeat=0, group="", cluster=c, state="scored", value=float(v))
        for i, (v, c) in enumerate(zip(values, clusters, strict=True))
    )


def scores(setting: Setting, drop: float, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """Of both runs, and the cluster of each sample."""
    sizes = rng.integers(1, setting.largest_cluster + 1, setting.samples)
    clusters = np.repeat(np.arange(setting.samples), sizes)[: setting.samples]
    hard = rng.normal(5.5, 1.8, setting.samples)[clusters]
    luck = [rng.normal(0, 0.8, setting.samples) + rng.normal(0, 0.4, setting.samples)[clusters] for _ in "ab"]
    found = [hard + luck[0], hard + luck[1] - drop]
    return [np.clip(np.rint(s), 1, 10) for s in found] if setting.rounded else found, clusters


def one(setting: Setting, drop: float, rng: np.random.Generator) -> tuple[float, float]:
    """p of a drop beyond what is tolerated, and the drop that the tool says these samples would show."""
    found, clusters = scores(setting, drop, rng)
    names = [f"c{c:05}" for c in clusters]
    both = Both(verdicts(found[0], names), verdicts(found[1], names), MEANS, "exclude")
    null, _ = both.differences(both.outline.headline, both.exchanged(int(rng.integers(2**31)), DRAWS))
    drawn, _ = both.differences(both.outline.headline, both.bootstrapped(int(rng.integers(2**31)), 400))
    p = p_value(-null, float(found[0].mean() - found[1].mean()) - setting.tolerated)
    least = threshold(-null, ALPHA)
    assert p is not None and least is not None
    return p, detectable(least, float(drawn.std()), len(np.unique(clusters)), POWER, setting.tolerated)


def latent(setting: Setting, drop: float, rng: np.random.Generator) -> float:
    """The drop before rounding and cutting off whose effect on the metric is `drop`."""
    large = Setting(setting.name, 400_000, 1, setting.rounded)
    found, _ = scores(large, 1.0, rng)
    return drop / float(found[0].mean() - found[1].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help="simulated pairs of runs in each cell")
    pairs = parser.parse_args().pairs
    rng = np.random.default_rng(0)
    print(f"| {'setting':36} | false alarms (at most {ALPHA:.0%}) | drop | found (aim: {POWER:.0%}) | s |")
    print(f"|{'-' * 38}|---:|---:|---:|---:|")
    for setting in SETTINGS:
        began = time.perf_counter()
        drop = float(np.mean([one(setting, 0.0, rng)[1] for _ in range(50)]))
        true = (setting.tolerated, latent(setting, drop, rng))
        rates = [np.mean([one(setting, d, rng)[0] <= ALPHA for _ in range(pairs)]) for d in true]
        took = time.perf_counter() - began
        print(
            f"| {setting.name:36} | {rates[0]:.1%} | {drop:.3f} | {rates[1]:.1%} | {took:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
