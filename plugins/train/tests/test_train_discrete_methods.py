"""Methods on answers with images: losses by hand, what learns and what does not, adapters, checkpoints."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import train_kit
from safetensors.torch import load_file
from servers.media_files import png
from tiny_discrete import MAKERS, tiny_janus
from tiny_training import Job, demonstrations, run_tiny, settings_of
from torch.distributed.fsdp import FSDPModule
from train_kit import turn
from two_processes import alike, in_two, same_curve

from eval_anything.values import Text
from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import TwoVocabularies, token_logprobs
from eval_anything_train.methods import settings as of
from eval_anything_train.methods.base import Method
from eval_anything_train.methods.kto import KTOBatch
from eval_anything_train.methods.registry import method_class
from eval_anything_train.policy import evaluating
from eval_anything_train.reward_model import RewardModel, end_scores
from eval_anything_train.settings import Lora, Settings
from eval_anything_train.values import Answer, Demonstration, Labelled, Pair

KINDS: dict[str, type[Settings]] = {
    "sft": Settings,
    "reward": of.RewardSettings,
    "dpo": of.DPOSettings,
    "kto": of.KTOSettings,
    "simpo": of.SimPOSettings,
    "orpo": of.ORPOSettings,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: make(root / name) for name, make in MAKERS.items()}


def method_of(name: str, folder: Path, *, lora: Lora | None = None) -> Method[Any, Any]:
    kind = method_class(name)
    policy = train_kit.policy(folder, lora=lora, reference=kind.needs_reference)
    made: Any = kind(policy, KINDS[name](model=str(folder), data="tiny", out="unused"))
    return made  # type: ignore[no-any-return]


def pairs(files: train_kit.Media) -> list[Pair]:
    """Of text to image, and of text and image to text and image."""
    one, two, three = files.image
    sides: list[tuple[Answer, Answer]] = [
        ((one,), (two,)),
        ((Text("A red circle"), two), (Text("no"), three)),
        ((three, Text("blue")), (Text("no image"),)),
    ]
    asked = [turn("Draw red"), turn(one, "How?"), turn("Draw blue, and say so")]
    return [
        Pair(id=f"p{n}", messages=messages, chosen=chosen, rejected=rejected)
        for n, (messages, (chosen, rejected)) in enumerate(zip(asked, sides, strict=True))
    ]


def records(name: str, files: train_kit.Media) -> list[Any]:
    held = pairs(files)
    if name == "sft":
        return [Demonstration(id=p.id, messages=p.messages, answer=p.chosen) for p in held]
    if name == "kto":
        return [
            Labelled(id=p.id, messages=p.messages, answer=p.chosen, desirable=n % 2 == 0)
            for n, p in enumerate(held)
        ]
    return held


def batch_for(method: Method[Any, Any], found: list[Any]) -> Batch:
    for record in found:
        method.check(record)
    batch: Batch = method.collate([method.encode(record) for record in found])
    return batch.to("cpu", torch.float32)


def sums(method: Method[Any, Any], row: Any, model: Any) -> tuple[float, int]:
    """The log-probability of one answer alone, and how many tokens it has."""
    with torch.no_grad():
        logprobs, mask = token_logprobs(model, train_kit.batch_of(method.policy, [row]))
    return float(logprobs.double().sum()), int(mask.sum())


def nudged(model: Any) -> None:
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.02 * torch.randn(p.shape, generator=noise))


def expected(name: str, method: Method[Any, Any], found: list[Any]) -> float:
    """Losses from the log-probabilities of single answers, formulas written out once more."""
    policy, s = method.policy, method.settings
    rows = [row for record in found for row in _rows(method.encode(record))]
    now = [sums(method, row, policy.model) for row in rows]
    if name == "sft":
        return -sum(total for total, _ in now) / sum(count for _, count in now)
    chosen, rejected = now[::2], now[1::2]
    if name == "dpo":
        before = [sums(method, row, policy.frozen)[0] for row in rows]
        moved = [total - old for (total, _), old in zip(now, before, strict=True)]
        terms = [s.beta * (one - other) for one, other in zip(moved[::2], moved[1::2], strict=True)]
    else:
        means = [[total / count for total, count in side] for side in (chosen, rejected)]
        if name == "simpo":
            terms = [s.beta * (one - other) - s.gamma for one, other in zip(*means, strict=True)]
        else:
            odds = [[m - math.log(-math.expm1(m)) for m in side] for side in means]
            ratios = [_log_sigmoid(one - other) for one, other in zip(*odds, strict=True)]
            return sum(-m - s.odds_weight * r for m, r in zip(means[0], ratios, strict=True)) / len(found)
    return -sum(map(_log_sigmoid, terms)) / len(terms)


def _rows(item: Any) -> tuple[Any, ...]:
    return item if isinstance(item, tuple) else (item,)


def _log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


@pytest.mark.parametrize("family", MAKERS)
@pytest.mark.parametrize("name", ["sft", "dpo", "simpo", "orpo"])
def test_losses_by_hand(name: str, family: str, folders: dict[str, Path], files: train_kit.Media) -> None:
    method, found = method_of(name, folders[family]), records(name, files)
    nudged(method.policy.model)
    loss, _ = method.loss(method.trained().eval(), batch_for(method, found))
    assert float(loss) == pytest.approx(expected(name, method, found), rel=1e-5)


@pytest.mark.parametrize("family", MAKERS)
def test_answers_of_kto_keep_what_was_given_when_they_follow_another_prompt(
    family: str, folders: dict[str, Path], files: train_kit.Media
) -> None:
    method, found = method_of("kto", folders[family]), records("kto", files)
    batch = batch_for(method, found)
    assert isinstance(batch, KTOBatch)
    counts = batch.response.sum(1).tolist()
    assert batch.mismatched.response.sum(1).tolist() == [*counts[1:], counts[0]]
    stop = method.policy.encoder.stop  # type: ignore[attr-defined]
    assert not batch.mismatched.response[batch.mismatched.inputs["input_ids"] == stop].any()
    loss, metrics = method.loss(method.trained(), batch)
    assert metrics["kl"] == 0 and float(loss) == pytest.approx(0.5)


@pytest.mark.parametrize("family", MAKERS)
def test_a_reward_model_reads_the_tokens_of_images(
    family: str, folders: dict[str, Path], files: train_kit.Media
) -> None:
    method, found = method_of("reward", folders[family]), pairs(files)
    model = method.trained()
    assert isinstance(model, RewardModel)
    with torch.no_grad():
        model.head.weight.normal_()
    model.eval()
    batch = batch_for(method, found)
    with torch.no_grad():
        scores = end_scores(model, batch)
        rows = [row for side in (0, 1) for row in (method.encode(p)[side] for p in found)]
        alone = torch.cat([end_scores(model, train_kit.batch_of(method.policy, [row])) for row in rows])
    torch.testing.assert_close(scores, alone, atol=1e-4, rtol=0)
    # Another image, another score; the one at the end of the conversation is what is read.
    assert abs(float(scores[0] - scores[3])) > 1e-3
    loss, metrics = method.loss(model, batch)
    better, worse = (half.double() for half in scores.chunk(2))
    pull = 0.001 * scores.double().square().mean()
    preferred = torch.log1p(torch.exp(worse - better)).mean()
    assert float(loss) == pytest.approx(float(preferred + pull), rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx(float((better > worse).double().mean()))


def test_gradients_of_images_alone_reach_the_generation_tower_and_nothing_of_the_vq_model(
    folders: dict[str, Path], files: train_kit.Media
) -> None:
    method = method_of("sft", folders["janus"])
    found = [Demonstration(id="a", messages=turn("Draw red"), answer=(files.image[0],))]
    loss, _ = method.loss(method.trained(), batch_for(method, found))
    loss.backward()
    norms = {
        name: 0.0 if p.grad is None else float(p.grad.norm())
        for name, p in method.policy.model.named_parameters()
        if p.requires_grad
    }
    for part in ("generation_head", "generation_aligner", "generation_embeddings", "language_model.layers"):
        assert all(value > 0 for name, value in norms.items() if part in name), part
    assert not any("vqmodel" in name for name in norms)
    assert not any(value for name, value in norms.items() if "vision_model" in name)


def test_an_image_by_heart_is_what_is_generated(folders: dict[str, Path], files: train_kit.Media) -> None:
    """By transformers' own class, from the checkpoint that was written, by its own way of making images."""
    from transformers import AutoProcessor, JanusForConditionalGeneration

    method = method_of("sft", folders["janus"])
    asked = {"Draw red": files.image[0], "Draw blue": files.image[2]}
    found = [Demonstration(id=text, messages=turn(text), answer=(file,)) for text, file in asked.items()]
    batch, model = batch_for(method, found), method.trained()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(150):
        loss, _ = method.loss(model, batch)
        if float(loss) < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.02
    final = folders["janus"].with_name("taught")
    method.save(model, final)
    theirs, report = JanusForConditionalGeneration.from_pretrained(final, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    processor = AutoProcessor.from_pretrained(final)
    start = processor.tokenizer.convert_tokens_to_ids("<boi>")
    theirs.generation_config.generation_kwargs = {"boi_token_id": start}
    for text, file in asked.items():
        talk = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        prompt = processor.apply_chat_template(talk, add_generation_prompt=True)
        inputs = processor(text=[prompt], generation_mode="image", return_tensors="pt")
        tokens = theirs.generate(**inputs, generation_mode="image", guidance_scale=1 + 1e-7, do_sample=False)
        codes = method.policy.encoder.coder.tokens(Path(file.path))  # type: ignore[attr-defined]
        assert (tokens[0] + method.policy.model.first_code).tolist() == codes


@pytest.mark.parametrize("family", MAKERS)
@pytest.mark.parametrize("lora", [None, Lora(rank=4)], ids=["weights", "adapters"])
def test_checkpoints_are_those_of_transformers_own_classes(
    family: str, lora: Lora | None, folders: dict[str, Path], files: train_kit.Media, tmp_path: Path
) -> None:
    import transformers

    method, found = method_of("dpo", folders[family], lora=lora), pairs(files)
    policy, batch = method.policy, batch_for(method, found)
    loss, _ = method.loss(method.trained(), batch)
    assert float(loss) == pytest.approx(math.log(2), rel=1e-6)  # the reference is the policy itself
    nudged(policy.model)
    loss, _ = method.loss(method.trained(), batch)
    assert float(loss) != pytest.approx(math.log(2), rel=1e-3)
    method.save(method.trained(), tmp_path / "child")
    config = json.loads((tmp_path / "child" / "config.json").read_text())
    (name,) = config["architectures"]
    theirs, report = getattr(transformers, name).from_pretrained(tmp_path / "child", output_loading_info=True)
    assert name == type(policy.model if lora is None else policy.model.get_base_model()).__name__
    assert type(theirs).__module__.startswith("transformers.")
    assert not report["missing_keys"] and not report["unexpected_keys"]
    # Read again as a policy, it says what the trained one said.
    child = train_kit.policy(tmp_path / "child", reference=False)
    with evaluating(policy.model), torch.no_grad():
        before, _ = token_logprobs(policy.model, batch)
        after, _ = token_logprobs(child.model.eval(), batch)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)
    same_vq(folders[family], tmp_path / "child")


def same_vq(parent: Path, child: Path) -> None:
    """What codes mean has not changed."""
    old, new = (load_file(folder / "model.safetensors") for folder in (parent, child))
    parts = [name for name in old if "vqmodel" in name]
    assert parts and all(torch.equal(old[name], new[name]) for name in parts)


def test_two_processes_are_one_whatever_answers_each_has(tmp_path: Path) -> None:
    """Some batches have images in their answers, some in their prompts, some none."""
    model = tiny_janus(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    image, settings = tmp_path / "a.png", {"epochs": 1, "lr": 1e-4}
    one = settings_of(model, tmp_path / "one", batch_size=2, **settings)
    run_tiny(one, demonstrations(6, image, drawn=True))
    two = settings_of(model, tmp_path / "two", batch_size=1, **settings)
    done = in_two(Job(settings=two, records=6, image=str(image), drawn=True))
    assert done.returncode == 0, done.stderr
    same_curve(two, one)
    alike(tmp_path / "two", tmp_path / "one")
    same_vq(model, tmp_path / "two" / "final")


@pytest.mark.parametrize("family", MAKERS)
def test_fsdp_may_change_the_class_of_a_network(family: str, folders: dict[str, Path]) -> None:
    """As `fully_shard` does it, before anything is divided."""
    network = train_kit.policy(folders[family], reference=False).model
    own = type(network)
    network.__class__ = type(f"FSDP{own.__name__}", (FSDPModule, own), {})
    assert isinstance(network, FSDPModule) and isinstance(network, TwoVocabularies)


def test_a_run_that_goes_on_ends_with_the_same_bits(tmp_path: Path) -> None:
    import shutil

    model = tiny_janus(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    found = demonstrations(8, tmp_path / "a.png", drawn=True)
    settings = settings_of(model, tmp_path / "out", epochs=1, batch_size=2, save_every=2, keep=9)
    outcome = run_tiny(settings, found)
    whole = load_file(outcome.folder / "model.safetensors")
    shutil.rmtree(outcome.folder)
    shutil.rmtree(tmp_path / "out" / "checkpoints" / "step-00000004")
    again = load_file(run_tiny(settings, found).folder / "model.safetensors")
    assert all(torch.equal(again[name], value) for name, value in whole.items())
