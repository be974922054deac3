"""What a DPO step on a vision-language model costs, beside TRL's, and what the reference costs in memory.

    python plugins/train/bench/steps.py            two minutes on two idle cores
    python plugins/train/bench/steps.py --only gpu [--device cpu]

Three tables:

    steps    seconds of one optimiser step, medians of steps that alternate: ours (the loop's own: forward
             passes of reference and policy, backward pass, checks, metrics, clipping, AdamW), TRL's
             (`training_step` of its DPOTrainer, clipping, AdamW), on one batch and the same weights.
             ratio = ours / TRL's
    memory   peak resident memory of a process in two steps: with adapters, without a reference (SFT) and
             with one (DPO, ours and TRL's), on as many tokens; and what is beyond SFT, in copies of the
             weights. TRL's has its own modules in it, a few hundred MB
    gpu      where there is one: tokens per second and share of the card's bfloat16 peak for a model of half
             a billion parameters with random weights, with all weights and with adapters
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vision_models
from vision_models import HALF_BILLION, MIDDLE, SMALL

from eval_anything_train.settings import Lora

LORA = Lora(rank=16)
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
"""bfloat16 operations per second, dense, by what the card's name holds (the makers' data sheets)."""


@dataclasses.dataclass
class Run:
    """What a stepper needs of a run: nothing is written."""

    session: Any
    settings: Any

    def learner(self, _: str, module: Any, settings: Any) -> Any:
        return self.session.learner(module, settings, steps=10_000)


def settings_for(method: str, folder: Path, **more: Any) -> Any:
    from eval_anything_train.methods.settings import DPOSettings
    from eval_anything_train.settings import Settings

    kind = DPOSettings if method == "dpo" else Settings
    given = {"lr": 1e-6, "schedule": "constant", "warmup": 0.0, "max_length": 8192, **more}
    return kind(model=str(folder), data="bench", out="nowhere", **given)


def our_step(method: str, records: list[Any], settings: Any) -> tuple[Callable[[], Any], Any, Any]:
    """(a function that makes one step on `records`, the method, their batch)."""
    from eval_anything_train.feed import Micro
    from eval_anything_train.methods.registry import method_class
    from eval_anything_train.order import Plan
    from eval_anything_train.policy import policy_for
    from eval_anything_train.session import Session
    from eval_anything_train.stepper import LossStepper

    kind = method_class(method)
    trainer: Any = kind(policy_for(settings, reference=kind.needs_reference), settings)
    stepper = LossStepper(trainer, records, Run(Session(settings), settings))  # type: ignore[arg-type]
    batch = trainer.collate([trainer.encode(record) for record in records])
    step = Plan(len(records), 1, len(records)).step(0)
    micro = Micro(batch, trainer.weight(batch), len(records), batch.tokens)
    return lambda: stepper.step(step, [micro]), trainer, batch


def trl_step(folder: Path, batch: Any, settings: Any) -> Callable[[], Any]:
    """The same with TRL's DPOTrainer: same weights, same batch, same optimiser."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from trl import DPOConfig, DPOTrainer

    from eval_anything_train.lora import linear_layers
    from eval_anything_train.optimizers import adamw

    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    lora = settings.lora and LoraConfig(
        r=settings.lora.rank, lora_alpha=settings.lora.alpha, target_modules=linear_layers(model)
    )
    example = {
        "prompt": [{"role": "user", "content": "a"}],
        "chosen": [{"role": "assistant", "content": "b"}],
        "rejected": [{"role": "assistant", "content": "c"}],
        "images": [Image.new("RGB", (56, 56))],
    }
    trainer = DPOTrainer(
        model,
        args=DPOConfig(
            output_dir=tempfile.mkdtemp(),
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            max_length=None,
            beta=settings.beta,
        ),
        train_dataset=Dataset.from_list([example]),
        processing_class=AutoProcessor.from_pretrained(folder),
        peft_config=lora,
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    optimizer = adamw(trainer.model, settings, fused=True)
    inputs = {**batch.inputs, "completion_mask": batch.response.long()}

    def step() -> Any:
        loss = trainer.training_step(trainer.model, dict(inputs))
        trainer.accelerator.clip_grad_norm_(trainer.model.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def seconds(step: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def measure_steps(folder: Path, lora: bool, repeats: int) -> dict[str, Any]:
    """Both, by turns: the machine's moods hit both alike."""
    records = vision_models.pairs(folder, SMALL, 4, prompt=10, answer=20)
    settings = settings_for("dpo", folder, lora=LORA if lora else None, device="cpu")
    ours, _, batch = our_step("dpo", records, settings)
    theirs = trl_step(folder, batch, settings)
    same = ours()["loss"], theirs()
    theirs(), ours()
    taken = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return {
        "tokens": batch.tokens,
        "answers": int(batch.response.sum()),
        "ours": statistics.median(a for a, _ in taken),
        "trl": statistics.median(b for _, b in taken),
        "ratio": statistics.median(a / b for a, b in taken),
        "loss": same,
    }


MEMORY = {
    "sft": "adapters, no reference (SFT)",
    "dpo": "adapters, DPO",
    "trl": "adapters, DPO, TRL's",
    "copy": "adapters, DPO, were the reference a copy",
}


def measure_memory(folder: Path, who: str) -> dict[str, Any]:
    """Peak memory, in MB, of this process in two steps on a pair, or on its two answers."""
    from eval_anything_train.values import Demonstration

    (pair,) = vision_models.pairs(folder, MIDDLE, 1, prompt=20, answer=30)
    sides = [
        Demonstration(id=name, messages=pair.messages, answer=answer)
        for name, answer in (("chosen", pair.chosen), ("rejected", pair.rejected))
    ]
    method = "sft" if who == "sft" else "dpo"
    settings = settings_for(method, folder, lora=LORA, device="cpu")
    if who == "trl":
        step = trl_step(folder, pair_batch(folder, pair), settings)
    else:
        step, trainer, _ = our_step(method, sides if who == "sft" else [pair], settings)
        if who == "copy":
            trainer.policy.frozen = copy.deepcopy(trainer.policy.model)
    Path("/proc/self/clear_refs").write_text("5")  # the peak of loading is forgotten
    step(), step()
    lines = Path("/proc/self/status").read_text().splitlines()
    return {"peak": next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024}


def pair_batch(folder: Path, pair: Any) -> Any:
    """`pair` as a batch, without the model's weights in memory."""
    from eval_anything.models.hf.load import open_checkpoint
    from eval_anything_train.collate import collate
    from eval_anything_train.encode import Encoder

    opened = open_checkpoint(folder, None)
    encoder = Encoder(opened, max_length=8192)
    sides = [encoder.conversation(pair.messages, answer) for answer in (pair.chosen, pair.rejected)]
    return collate(sides, opened.tokenizer.pad_token_id)


def measure_gpu(folder: Path, lora: bool, device: str) -> dict[str, Any]:
    """Tokens per second of a DPO step in bfloat16, and the share of the card's peak.

    A token of a forward pass is 2 operations for each weight of the language model and its head, a backward
    pass twice that for the activations' gradients and as much again for those of the weights, where they are
    trained; attention to L tokens is 4 * L * width operations a layer, halved by its mask. The encoder of
    pictures, and what is computed twice to save memory, are left out. The head is asked about answers alone.
    """
    import torch

    size = dataclasses.replace(HALF_BILLION, **({} if device == "cuda" else vars(SMALL)))
    repeats, count = (10, 8) if device == "cuda" else (2, 1)
    words = (180, 260) if device == "cuda" else (20, 30)
    records = vision_models.pairs(folder, size, count, *words)
    settings = settings_for("dpo", folder, lora=LORA if lora else None, device=device, dtype="bfloat16")
    step, trainer, batch = our_step("dpo", records, settings)
    for _ in range(3 if device == "cuda" else 1):
        step()
    taken = statistics.median(seconds(step) for _ in range(repeats))
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    peak = next((value for word, value in PEAKS.items() if word in name), None)
    done = operations(trainer.policy.model, batch, trained=not lora)
    return {
        "device": name,
        "parameters": sum(p.numel() for p in trainer.policy.model.parameters()),
        "tokens": batch.tokens,
        "seconds": taken,
        "tokens_per_s": batch.tokens / taken,
        "share": done / taken / peak if peak else None,
        "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None,
    }


def operations(model: Any, batch: Any, *, trained: bool) -> float:
    """Of one DPO step on `batch`: forward pass of the reference, forward and backward pass of the policy."""
    from eval_anything_train.logprobs import unwrapped

    inner = unwrapped(model)
    text = inner.config.get_text_config()
    language = inner.get_decoder()
    blocks = sum(p.numel() for p in language.parameters() if p.ndim == 2) - text.vocab_size * text.hidden_size
    head = text.vocab_size * text.hidden_size
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    answers = int(batch.response.sum())
    attention = sum(2 * n * n * text.hidden_size * text.num_hidden_layers for n in lengths)
    forward = 2 * blocks * sum(lengths) + 2 * head * answers + attention
    # reference + policy + gradients of activations (+ those of weights; attention has none)
    return 3 * forward + attention + (forward - attention if trained else 0)


def table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))
    print(flush=True)


def alone(part: str, folder: Path, *options: str) -> dict[str, Any]:
    """The numbers of one measurement, in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def show_steps(place: Path, repeats: int) -> None:
    folder = vision_models.build(place / "small", SMALL)
    rows = []
    for name, option in (("all weights", "no"), ("adapters of rank 16", "yes")):
        found = alone("steps", folder, "--lora", option, "--repeats", str(repeats))
        rows.append(
            [
                name,
                f"{found['tokens']} ({found['answers']})",
                f"{found['ours']:.3f}",
                f"{found['trl']:.3f}",
                f"{found['ratio']:.3f}",
                f"{abs(found['loss'][0] / found['loss'][1] - 1):.0e}",
            ]
        )
    print("A DPO step on 4 pairs, Qwen2-VL of 8 million parameters, float32, on the CPU")
    table(["", "tokens (of answers)", "ours, s", "TRL's, s", "ratio", "losses differ by"], rows)


def show_memory(place: Path) -> None:
    folder = vision_models.build(place / "middle", MIDDLE)
    weights = (folder / "model.safetensors").stat().st_size / 2**20
    found = {who: alone("memory", folder, "--who", who)["peak"] for who in MEMORY}
    print(f"Resident memory at its peak in training, MB; the weights are {weights:.0f} MB")
    rows = [
        [MEMORY[who], f"{peak:.0f}", f"{(peak - found['sft']) / weights:+.2f}"] for who, peak in found.items()
    ]
    table(["", "peak, MB", "over SFT, copies of the weights"], rows)


def show_gpu(place: Path, device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        print("tokens per second and share of the bfloat16 peak: not measured, there is no GPU here")
        return
    folder = vision_models.build(place / "gpu", HALF_BILLION if device == "cuda" else SMALL)
    rows = []
    for name, option in (("all weights", "no"), ("adapters of rank 16", "yes")):
        found = alone("gpu", folder, "--lora", option, "--device", device)
        rows.append(
            [
                name,
                f"{found['parameters'] / 1e9:.2f}",
                str(found["tokens"]),
                f"{found['seconds']:.3f}",
                f"{found['tokens_per_s']:.0f}",
                "unknown" if found["share"] is None else f"{100 * found['share']:.1f} %",
                "unknown" if found["memory_gb"] is None else f"{found['memory_gb']:.1f}",
            ]
        )
    print(f"A DPO step in bfloat16 on {found['device']}")
    table(["", "billions", "tokens", "s", "tokens/s", "share of peak", "GB"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=["steps", "memory", "gpu"], help="one of the tables")
    parser.add_argument("--repeats", type=int, default=9, help="steps of each, for the medians")
    parser.add_argument("--device", default="cuda", help="of the third table; cpu: a small model, to try it")
    for name in ("part", "folder", "lora", "who"):  # of the processes that this one starts
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part is not None:
        folder, lora = Path(args.folder), args.lora == "yes"
        match args.part:
            case "steps":
                found = measure_steps(folder, lora, args.repeats)
            case "memory":
                found = measure_memory(folder, args.who)
            case _:
                found = measure_gpu(folder, lora, args.device)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as held:
        place = Path(held)
        if args.only in (None, "steps"):
            show_steps(place, args.repeats)
        if args.only in (None, "memory"):
            show_memory(place)
        if args.only in (None, "gpu"):
            show_gpu(place, args.device)


if __name__ == "__main__":
    main()
