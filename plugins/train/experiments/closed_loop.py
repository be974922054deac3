"""The paper's experiment in miniature: preferences to checkpoints to scores, on scenes whose truth is known.

    python plugins/train/experiments/closed_loop.py --out runs/closed-loop

Align Anything (arXiv 2412.15838): Table 2 (DPO, PPO, each without and with LLF), Table 3 (without the
feedback model), Figure 5 (a quarter, half, three quarters of the feedback). Every step is a command of
eval-anything; after a kill the same command goes on. The results are written to RESULTS.md and
closed_loop.svg beside this.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tabled
import worth
from jobs import ExperimentError, Job, claim, run

from eval_anything_train.data import twin

HERE = Path(__file__).resolve().parent
ARMS: dict[str, str] = {
    "initial": "the embedded model as it is",
    "DPO": "DPO on the annotator's preferences",
    "DPO+LLF": "DPO on pairs from language feedback",
    "PPO": "PPO, reward model of the annotator's preferences",
    "PPO+LLF": "PPO, reward model of pairs from language feedback",
    "DPO+LLF without feedback model": "the model just answers again",
    "DPO+LLF, 25 % of the feedback": "feedback model trained on a quarter",
    "DPO+LLF, 50 % of the feedback": "feedback model trained on a half",
    "DPO+LLF, 75 % of the feedback": "feedback model trained on three quarters",
}
"""What is compared."""
SUBTASK = {"image": "ti2t", "video": "tv2t", "audio": "ta2t"}
AGREEMENT = {"image": 0.625, "video": 0.621, "audio": 0.618}
"""How often two annotators agree without language feedback (Table 1)."""
HELD_OUT_SEED = 4242
_SAMPLING = {"temperature": "1.0", "repetition-penalty": "1.0", "max-tokens": "96"}
"""Of first answers, feedback and refined answers. The paper's repetition penalty of 1.1 is for longer words:
a description of a scene has to repeat "large" and "in the"."""
TRAINING: dict[str, dict[str, str]] = {
    "feedback": {"epochs": "3", "lr": "3e-4", "batch_size": "16"},
    "dpo": {"epochs": "2", "lr": "5e-5", "batch_size": "16"},
    "reward": {"epochs": "3", "lr": "2e-4", "batch_size": "16"},
    "ppo": {
        "epochs": "2",
        "lr": "2e-5",
        "critic_lr": "1e-4",
        "batch_size": "32",
        "max_new_tokens": "96",
        "kl_coeff": "0.05",
        "whiten": "true",
    },
}
"""Settings of each training; the same with and without LLF."""


class Plan:
    """The commands of one seed."""

    def __init__(self, asked: argparse.Namespace, seed: int) -> None:
        self.model, self.about, self.n, self.held = asked.model, asked.about, asked.n, asked.held_out
        self.seed = seed
        self.out = Path(asked.out) / f"seed-{seed}"
        self.prompts = f"synthetic:{SUBTASK[self.about]},n={self.n},seed={seed}"
        self.data = f"{self.prompts},agreement={AGREEMENT[self.about]}"

    def jobs(self) -> Iterator[Job]:
        for name, share in (("llf", 1.0), ("llf-75", 0.75), ("llf-50", 0.5), ("llf-25", 0.25)):
            yield self._llf(name, "--feedback-share", str(share))
        yield self._llf("llf-none", "--feedback-model", "none")
        yield self._job("llf-ppo", self._llf_command("llf", "--then", "ppo", "--stages", "train"), ("llf",))
        yield self._train("dpo", "dpo")
        yield self._train("reward", "reward")
        yield self._train("ppo", "ppo", "--reward", str(self.out / "reward/final"), after=("reward",))
        for arm, (folder, after) in self.checkpoints().items():
            yield self._score(arm, folder, after)

    def checkpoints(self) -> dict[str, tuple[str, str]]:
        """Of each arm: the checkpoint, and the job that makes it."""
        names = list(ARMS)
        made = [
            (self.model, ""),
            *(
                (f"hf/{self.out}/{folder}/final", job)
                for folder, job in (
                    ("dpo", "dpo"),
                    ("llf/dpo", "llf"),
                    ("ppo", "ppo"),
                    ("llf/ppo", "llf-ppo"),
                    ("llf-none/dpo", "llf-none"),
                    ("llf-25/dpo", "llf-25"),
                    ("llf-50/dpo", "llf-50"),
                    ("llf-75/dpo", "llf-75"),
                )
            ),
        ]
        return dict(zip(names, made, strict=True))

    def scored(self, arm: str) -> Path:
        return self.out / "scored" / _slug(arm)

    def worth(self) -> Iterator[str]:
        """What the pairs are worth that the arms were trained on: rows of a table."""
        short = SUBTASK[self.about]
        truths = twin.read_truth(twin.twin_folder(short, self.n, self.seed), short)
        kinds = {"the annotator": self.data}
        for name in ("llf", "llf-75", "llf-50", "llf-25", "llf-none"):
            kinds[name] = str(self.out / name / "pairs" / "pairs.jsonl")
        for name, data in kinds.items():
            yield f"| {name}, seed {self.seed} | {worth.of_pairs(data, truths, self.about)} |"

    def _llf(self, name: str, *more: str) -> Job:
        return self._job(name, self._llf_command(name, *more))

    def _llf_command(self, name: str, *more: str) -> tuple[str, ...]:
        command = ["train", "llf", "--model", _folder(self.model), "--data", self.prompts]
        command += ["--out", str(self.out / name), "--seed", str(self.seed), "--save-every", "0"]
        command += ["--cache", str(self.out / "cache")]  # first answers are the same in all variants
        for stage in ("respond", "critique", "refine"):
            for option, value in _SAMPLING.items():
                command += [f"--{stage}.{option}", value]
        for training, settings in TRAINING.items():
            command += [f"--{training}", *(f"{key}={value}" for key, value in settings.items())]
        return (*command, *more)

    def _train(self, name: str, method: str, *more: str, after: tuple[str, ...] = ()) -> Job:
        command = ["train", method, "--model", _folder(self.model), "--data", self.data, *more]
        command += ["--out", str(self.out / name), "--seed", str(self.seed), "--save-every", "0"]
        for key, value in TRAINING[method].items():
            option = f"--{key.replace('_', '-')}"
            command += [option] if value == "true" else [option, value]
        return self._job(name, tuple(command), after)

    def _score(self, arm: str, model: str, after: str) -> Job:
        command = ("run", "--include", str(HERE / "held_out.py"), "--tasks", "held_out", "--model", model)
        command += ("--data", f"synthetic:n={self.held},seed={HELD_OUT_SEED}", "-T", f"about={self.about}")
        command += ("--seed", str(self.seed), "--out", str(self.scored(arm)), "-M", "batch_size=16")
        return self._job(f"score-{_slug(arm)}", command, (after,) if after else ())

    def _job(self, name: str, command: tuple[str, ...], after: tuple[str, ...] = ()) -> Job:
        prefix = f"seed-{self.seed}-"
        return Job(prefix + name, command, tuple(prefix + one for one in after))


def _slug(arm: str) -> str:
    kept = "".join(c if c.isalnum() else "-" for c in arm.lower())
    return "-".join(filter(None, kept.split("-")))


def _folder(model: str) -> str:
    """The checkpoint's folder, as `train` takes it."""
    if model == "embedded/omni":
        from eval_anything.models.embedded import WEIGHTS

        return str(WEIGHTS)
    return model.removeprefix("hf/")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of all runs")
    parser.add_argument("--model", default="embedded/omni", help="what all arms begin with")
    parser.add_argument(
        "--about", choices=sorted(SUBTASK), default="video", help="what the questions are about"
    )
    parser.add_argument("--n", type=int, default=200, help="rows of preference data")
    parser.add_argument("--held-out", type=int, default=300, help="held-out questions")
    parser.add_argument("--seeds", default="0,1,2", help="of data, order and sampling")
    parser.add_argument("--places", type=int, default=2, help="commands at a time")
    parser.add_argument("--report", default=str(HERE), help="folder of RESULTS.md and closed_loop.svg")
    asked = parser.parse_args(arguments)
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    configuration: dict[str, Any] = {
        **{name: getattr(asked, name) for name in ("model", "about", "n", "held_out")},
        "training": TRAINING,
        "sampling": _SAMPLING,
    }
    try:
        claim(Path(asked.out), configuration)
        plans = [Plan(asked, seed) for seed in seeds]
        run([job for plan in plans for job in plan.jobs()], Path(asked.out), asked.places)
    except ExperimentError as fault:
        print(f"closed_loop: {fault}", file=sys.stderr)
        return 2
    runs = {arm: [plan.scored(arm) for plan in plans] for arm in ARMS}
    told = {**configuration, "seeds": seeds}
    tabled.write(
        Path(asked.report), tabled.lines(runs), ARMS, told, [row for p in plans for row in p.worth()]
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
