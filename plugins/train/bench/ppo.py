"""What a PPO step on a vision-language model costs, beside the sum of its own forward and backward passes.

    python plugins/train/bench/ppo.py [--repeats 15] [--device cpu] [--threads 2]       about two minutes

A step lets the policy answer four prompts with a picture, scores the answers, and updates actor and critic.
Its passes are timed alone on the same tensors, by turns with the step: generation, forward passes of reward
model, policy, reference and critic, forward and backward passes of actor and critic. What else a step does
is what it costs more: collating, rewards, advantages, losses, checks, metrics, clipping and AdamW, whose two
updates have a line of their own and are not in the sum.

Medians in milliseconds, by the clock and of the processor, which a busy machine does not disturb (on a GPU it
says little); ratio = step / sum of the passes, the median over the turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vision_models
from vision_models import SMALL

from eval_anything_train.settings import Lora

SUM, STEP, UPDATES = "sum of the passes", "the step", "clipping and AdamW, in it"


@dataclasses.dataclass
class Run:
    """What a stepper needs of a run: nothing is written."""

    session: Any
    settings: Any
    step: int = 0
    manifest: Any = dataclasses.field(default_factory=lambda: argparse.Namespace(steps=10_000))

    def learner(self, _: str, module: Any, settings: Any) -> Any:
        return self.session.learner(module, settings, steps=10_000)


def prepare(folder: Path, lora: Lora | None, device: str, tokens: int) -> tuple[Any, Any, Any]:
    """A stepper, its step, and the micro batch of that step."""
    import torch

    from eval_anything_train.feed import Micro
    from eval_anything_train.order import Plan
    from eval_anything_train.policy import policy_for
    from eval_anything_train.ppo.method import PPO
    from eval_anything_train.ppo.settings import PPOSettings
    from eval_anything_train.reward_model import new_head, save_head
    from eval_anything_train.session import Session
    from eval_anything_train.values import Prompt

    head = new_head(SMALL.hidden)
    torch.nn.init.normal_(head.weight)
    save_head(head, folder)
    pairs = vision_models.pairs(folder, SMALL, 4, prompt=10, answer=20)
    records = [Prompt(id=pair.id, messages=pair.messages) for pair in pairs]
    settings = PPOSettings(
        model=str(folder),
        data="bench",
        out="nowhere",
        reward=str(folder),
        lora=lora,
        device=device,
        max_new_tokens=tokens,
        lr=1e-9,  # each turn works on the same answers
        critic_lr=1e-9,
        max_length=8192,
    )
    method = PPO(policy_for(settings, reference=True), settings)
    stepper = method.stepper(records, Run(Session(settings), settings))  # type: ignore[arg-type]
    batch = method.collate([method.encode(record) for record in records])
    micro = Micro(batch, 4.0, 4, batch.tokens)
    return stepper, Plan(4, 1, 4).step(0), micro


def passes(stepper: Any, step: Any, micro: Any) -> dict[str, Callable[[], Any]]:
    """Each pass of a step by itself, on the step's own tensors."""
    import torch

    from eval_anything_train.logprobs import token_logprobs
    from eval_anything_train.ppo.rollouts import draw_seed
    from eval_anything_train.reward_model import end_scores

    sampler, session, policy = stepper.sampler, stepper.session, stepper.policy
    actor, critic = stepper.actor, stepper.critic
    questions = micro.batch.to(session.device, stepper.dtype)
    seeds = [draw_seed(stepper.settings.seed, step.number, id) for id in questions.ids]
    one = stepper._experience(micro, step)
    rewarded = stepper.observer.reward.model

    def generate() -> None:
        with session.autocast():
            sampler.generator.sequences(questions.inputs, sampler.params, seeds)

    def forward(model: Any) -> None:
        with torch.no_grad(), session.autocast():
            token_logprobs(model, one.batch)

    def refer() -> None:
        with policy.reference(actor.module) as reference:
            forward(reference)

    def value() -> None:
        with torch.no_grad(), session.autocast():
            critic.module(**one.batch.inputs)

    def reward() -> None:
        weight = next(rewarded.parameters())
        with torch.no_grad():
            end_scores(rewarded, one.batch.to(weight.device, weight.dtype))

    def train(learner: Any, compute: Callable[[], Any]) -> None:
        with session.autocast():
            loss = compute().sum()
        loss.backward()
        learner.optimizer.zero_grad(set_to_none=True)

    return {
        "generation": generate,
        "reward": reward,
        "policy": lambda: forward(actor.module),
        "reference": refer,
        "critic": value,
        "actor, forward and backward": lambda: train(
            actor, lambda: token_logprobs(actor.module, one.batch)[0]
        ),
        "critic, forward and backward": lambda: train(critic, lambda: critic.module(**one.batch.inputs)),
    }


def updates(stepper: Any) -> Callable[[], None]:
    """Clipping and AdamW of both learners, on gradients of zeros."""
    import torch

    learners = (stepper.actor, stepper.critic)
    found = [
        {p: torch.zeros_like(p) for p in learner.bare.parameters() if p.requires_grad} for learner in learners
    ]

    def run() -> None:
        for learner, gradients in zip(learners, found, strict=True):
            for parameter, gradient in gradients.items():
                parameter.grad = gradient
            learner.gradient_norm()
            learner.update(0)

    return run


def milliseconds(work: Callable[[], Any], device: str) -> tuple[float, float]:
    """By the clock, and of the processor."""
    import torch

    begin = time.perf_counter(), time.process_time()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return (time.perf_counter() - begin[0]) * 1e3, (time.process_time() - begin[1]) * 1e3


def measure(lora: Lora | None, device: str, tokens: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = vision_models.build(Path(place) / "model", SMALL)
        stepper, step, micro = prepare(folder, lora, device, tokens)
        parts = passes(stepper, step, micro)
        work = {**parts, STEP: lambda: stepper.step(step, [micro]), UPDATES: updates(stepper)}
        turns = [{name: milliseconds(do, device) for name, do in work.items()} for _ in range(repeats + 2)][
            2:
        ]
    one = stepper._experience(micro, step)
    trained, answered = "adapters" if lora else "all weights", sum(one.rollout.lengths)
    print(f"\n{trained}: 4 prompts with a picture, {one.batch.tokens} tokens, {answered} of them answers")
    print(f"  {'':30} {'clock':>9} {'processor':>9}")
    for turn in turns:
        turn[SUM] = tuple(sum(turn[name][kind] for name in parts) for kind in (0, 1))
    for name in (*parts, SUM, STEP, UPDATES):
        clock, processor = (statistics.median(turn[name][kind] for turn in turns) for kind in (0, 1))
        print(f"  {name:30} {clock:9.1f} {processor:9.1f}")
    ratios = [statistics.median(turn[STEP][kind] / turn[SUM][kind] for turn in turns) for kind in (0, 1)]
    print(f"  {'ratio':30} {ratios[0]:9.3f} {ratios[1]:9.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32, help="of an answer, at most")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    for lora in (None, Lora(rank=16)):
        measure(lora, given.device, given.tokens, given.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
