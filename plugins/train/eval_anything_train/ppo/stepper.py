"""A step of PPO: the policy answers, what it did is observed, and actor and critic are updated."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch

from eval_anything.errors import UsageError
from eval_anything_train.feed import Feed, Micro
from eval_anything_train.order import Plan, Step
from eval_anything_train.policy import save_policy
from eval_anything_train.ppo.experience import Experience, Observer, whiten
from eval_anything_train.ppo.losses import masked_sum
from eval_anything_train.ppo.rollouts import Questions
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.ppo.tally import Tally, means
from eval_anything_train.ppo.update import Counts, Updater
from eval_anything_train.run import Run
from eval_anything_train.session import Session
from eval_anything_train.settings import Settings
from eval_anything_train.stepper import Stepper, Values
from eval_anything_train.values import Prompt

if TYPE_CHECKING:
    from eval_anything_train.ppo.method import PPO

ACTOR, CRITIC = "actor", "critic"
"""Names of the learners."""


class PPOStepper(Stepper):
    """Checkpoints are the actor's; the critic and both optimisers are in `trainer/`."""

    def __init__(self, method: PPO, records: Sequence[Prompt], run: Run) -> None:
        super().__init__(records, run)
        if self.session.division == "deepspeed":
            raise UsageError("ppo trains two models, and DeepSpeed one: use accelerate/fsdp.yaml")
        s = self.settings = method.settings
        self.policy = method.policy
        self.actor = run.learner(ACTOR, self.policy.model, s)
        self.critic = run.learner(CRITIC, method.critic, critic_settings(s))
        self.learners = {ACTOR: self.actor, CRITIC: self.critic}
        for learner in self.learners.values():
            without_dropout(learner.module)
        if self.policy.frozen is not None:
            self.session.placed(self.policy.frozen)
        # Pixels and mel frames come in the precision of the weights that read them.
        self.dtype = next(p.dtype for p in self.actor.module.parameters() if p.is_floating_point())
        self.sampler = method.sampler(self.session, self.actor.bare)
        self.observer = Observer(self.session, self.policy, self.actor, self.critic, method.reward, s)
        self.updater = Updater(self.session, self.actor, self.critic, s, self.dtype)
        self.demonstrations = _demonstrations(method, run)

    def write(self, modules: Mapping[str, torch.nn.Module], folder: Path) -> None:
        save_policy(self.policy, modules[ACTOR], folder)

    def step(self, step: Step, micros: Sequence[Micro]) -> Values:
        shown = next(self.demonstrations)
        records, skipped, weight = self._everywhere(
            sum(m.records for m in micros), sum(m.skipped for m in micros), sum(m.weight for m in shown)
        )
        if records == 0:  # all prompts of the step are too long: everybody passes on
            return {"loss": None, "tokens": 0, "records": 0, "skipped": int(skipped)}
        began = time.monotonic()
        experiences = [self._experience(micro, step) for micro in micros if micro.batch is not None]
        observing = time.monotonic() - began
        if self.settings.whiten:
            experiences = whiten(self.session, experiences)
        seen = _seen(experiences, self.session).exchange()
        of = Counts(answers=seen["value"][1], demonstrations=weight)
        updates = [self._update(step, experiences, shown, of) for _ in range(self.settings.update_iters)]
        changed = {name: sum(u[name] for u in updates) / len(updates) for name in updates[0]}
        counts = {"tokens": int(seen["tokens"][0]), "records": int(records), "skipped": int(skipped)}
        seen.pop("tokens")
        return {**changed, **means(seen), **counts, "rollout_seconds": round(observing, 4)}

    def _everywhere(self, *values: float) -> list[float]:
        """Sums over all processes."""
        mine = torch.tensor(values, dtype=torch.float64, device=self.session.device)
        found: list[float] = self.session.sum(mine).tolist()
        return found

    def _experience(self, micro: Micro, step: Step) -> Experience:
        assert isinstance(micro.batch, Questions)
        rollout = self.sampler.answer(micro.batch.to(self.session.device, self.dtype), step.number)
        return self.observer.observe(rollout, 1.0 if micro.records else 0.0)

    def _update(
        self, step: Step, experiences: Sequence[Experience], shown: Sequence[Micro], of: Counts
    ) -> dict[str, float]:
        """One update of both models; its metrics."""
        found = means(self.updater.gradients(experiences, shown, of).exchange())
        norms = {
            "grad_norm": float(self.actor.gradient_norm()),
            "critic_grad_norm": float(self.critic.gradient_norm()),
        }
        for name, value in (*found.items(), *norms.items()):
            if not math.isfinite(value):
                raise self.not_finite(step, f"{name} is {value}", step.indices)
        rates = {"lr": self.actor.update(step.number), "critic_lr": self.critic.update(step.number)}
        return {"loss": found.pop("loss"), **rates, **norms, **found}


def critic_settings(settings: PPOSettings) -> Settings:
    """The critic's, where they have names of their own."""
    return msgspec.structs.replace(
        settings, lr=settings.critic_lr, warmup=settings.critic_warmup, schedule=settings.critic_schedule
    )


def without_dropout(module: torch.nn.Module) -> None:
    """Old and new probabilities are to differ by the update alone. Layers that compute their activations
    twice must believe that they are in training."""
    module.eval()
    for part in module.modules():
        if getattr(part, "gradient_checkpointing", False):
            part.training = True


def _demonstrations(method: PPO, run: Run) -> Iterator[Sequence[Micro]]:
    """Those of each step from the run's next one on."""
    s, session, steps = method.settings, run.session, run.manifest.steps
    if not method.ptx:
        yield from ([] for _ in range(run.step, steps))
        return
    plan = Plan(len(method.ptx), 1, s.batch_size, s.accumulate, session.processes, s.seed)
    plan = dataclasses.replace(plan, epochs=math.ceil(steps / plan.steps_per_epoch))
    for _, micros in Feed(method.imitation, method.ptx, plan, s, session.process).steps(run.step):
        yield micros


def _seen(experiences: Sequence[Experience], session: Session) -> Tally:
    """How the answers were."""
    tally = Tally(session)
    for one in experiences:
        answers, counts = len(one.scores) * one.counts, one.counts
        lengths, ended = one.rollout.lengths, one.rollout.ended
        tally.add("reward", one.scores.sum() * counts, answers)
        tally.add("kl", masked_sum(one.log_ratios, one.mask) * counts, answers)
        tally.add("length", sum(lengths) * counts, answers)
        tally.add("ended", sum(ended) * counts, answers)
        tally.add("entropy", -masked_sum(one.logprobs, one.mask) * counts, one.tokens)
        tally.add("value", masked_sum(one.values, one.mask) * counts, one.tokens)
        tally.add("return", masked_sum(one.returns, one.mask) * counts, one.tokens)
        tally.add("advantage", masked_sum(one.advantages, one.mask) * counts, one.tokens)
        tally.add("tokens", one.batch.tokens * counts, 0)
    return tally
