"""Runs of PPO: families with media, resuming, checkpoints, adapters, rewards, bad input."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import train_kit
from ppo_kit import by_text, metrics_of, prompts, reward_model, run_ppo, settings_of
from safetensors.torch import load_file
from torch import Tensor
from train_kit import FAMILIES, MAKERS, turn

from eval_anything.errors import DataError, UsageError
from eval_anything.models.hf.generate import Generator
from eval_anything.models.hf.load import open_checkpoint
from eval_anything.values import Text
from eval_anything_train.collate import collate
from eval_anything_train.encode import TooLongError
from eval_anything_train.learner import NotFinite
from eval_anything_train.manifest import read_manifest
from eval_anything_train.methods.registry import method_class
from eval_anything_train.policy import open_policy, policy_for
from eval_anything_train.ppo.method import PPO
from eval_anything_train.ppo.rewards import ModelReward, reads_alike
from eval_anything_train.ppo.rollouts import Question, Rollout, Sampler, gathered
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.reward_model import RewardModel, end_scores, load_head, save_head
from eval_anything_train.session import Session
from eval_anything_train.settings import Lora
from eval_anything_train.values import Answer, Demonstration, Prompt

LENGTH = by_text(lambda text: len(text) / 10)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def judge(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reward_model(tmp_path_factory.mktemp("judge") / "folder", llama)


def records_of(family: str, files: train_kit.Media) -> list[Prompt]:
    return [Prompt(id=f"p{n}", messages=m) for n, m in enumerate(train_kit.prompts(family, files))]


def rollout_of(s: PPOSettings, records: Sequence[Prompt], step: int = 0) -> Rollout:
    policy = policy_for(s)
    questions = [Question(r, policy.encoder.prompt(r.messages, r.id)) for r in records]
    return Sampler(Session(s), policy, policy.model, s).answer(gathered(questions, policy.pad), step)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_and_is_updated(family: str, tmp_path: Path) -> None:
    folder = MAKERS[family](tmp_path / "model")
    records = records_of(family, train_kit.media(tmp_path / "media"))
    s = settings_of(
        folder,
        tmp_path / "out",
        **{"batch_size": 5, "max_length": 2000, "max_new_tokens": 12, "save_every": 1},
        reward=str(reward_model(tmp_path / "judge", folder)),
    )
    rollout = rollout_of(s, records)
    policy = open_policy(str(folder), {"max_length": 2000}, device="cpu", dtype="float32")
    generator = Generator(policy.opened, policy.model, policy.encoder.prompter)
    for row, mask, length, ended in zip(
        rollout.batch.inputs["input_ids"],
        rollout.batch.response,
        rollout.lengths,
        rollout.ended,
        strict=True,
    ):
        ids = row[mask].tolist()
        assert len(ids) == length <= 12
        assert not set(ids) & set(generator.suppressed)
        assert [token for token in ids if token in generator.ends] == ids[-1:] * ended
    run_ppo(s, records)
    (line,) = metrics_of(s)
    assert line["ratio"] == 1.0 and line["clipped"] == 0.0 and line["kl"] == 0.0
    assert line["length"] == sum(rollout.lengths) / 5
    assert line["grad_norm"] > 0 and line["critic_grad_norm"] > 0
    before, after = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "out" / "final"))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_an_answer_is_drawn_by_seed_step_and_record_whatever_its_batch(llama: Path, tmp_path: Path) -> None:
    s = settings_of(llama, tmp_path, max_new_tokens=10)
    records = prompts(4)
    together = rollout_of(s, records).answers
    alone = [rollout_of(s, [record]).answers[0] for record in records]
    assert list(together) == alone
    assert rollout_of(s, list(reversed(records))).answers[::-1] == together
    assert rollout_of(s, records, step=1).answers != together
    other = settings_of(llama, tmp_path, max_new_tokens=10, seed=1)
    assert rollout_of(other, records).answers != together


def test_the_policy_answers_by_itself_not_by_its_generation_settings(llama: Path, tmp_path: Path) -> None:
    """Else the answers would be another policy's than the one whose probabilities are taken."""
    from transformers import GenerationConfig

    folder = tmp_path / "model"
    shutil.copytree(llama, folder)
    stated = GenerationConfig.from_pretrained(folder)
    stated.update(repetition_penalty=5.0, no_repeat_ngram_size=1, min_new_tokens=9, top_k=1, temperature=0.1)
    stated.do_sample = True
    stated.save_pretrained(folder)
    given = {"max_new_tokens": 10, "temperature": 0.8}
    plain = rollout_of(settings_of(llama, tmp_path, **given), prompts(4)).answers
    assert rollout_of(settings_of(folder, tmp_path, **given), prompts(4)).answers == plain


class Stopped(Exception):
    """The power went."""


def stopping(at: int) -> Callable[[Sequence[Prompt], Sequence[Answer]], list[float]]:
    """A reward that stops the run when it is asked for the `at`-th time, or never."""
    asked = 0

    def score(records: Sequence[Prompt], answers: Sequence[Answer]) -> list[float]:
        nonlocal asked
        asked += 1
        if asked == at:
            raise Stopped
        return LENGTH(records, answers)

    return score


def tensors(folder: Path) -> dict[str, Tensor]:
    return {
        f"{file.relative_to(folder)}/{name}": value
        for file in folder.rglob("*.safetensors")
        for name, value in load_file(file).items()
    }


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_an_interrupted_run_ends_in_the_same_bits(lora: Lora | None, llama: Path, tmp_path: Path) -> None:
    shown = [
        Demonstration(id=f"d{n}", messages=turn("What?" * (n + 1)), answer=(Text("yes, red"),))
        for n in range(3)
    ]
    more: dict[str, Any] = {
        **{"accumulate": 2, "epochs": 3, "update_iters": 2, "save_every": 2, "keep": 9, "lora": lora},
        **{"weight_decay": 0.01, "kl_coeff": 0.1},
    }
    whole = settings_of(llama, tmp_path / "whole", **more)
    run_ppo(whole, prompts(6), shown, stopping(0))
    broken = settings_of(llama, tmp_path / "broken", **more)
    with pytest.raises(Stopped):  # in the fifth of six steps: the steps have two and one micro batches
        run_ppo(broken, prompts(6), shown, stopping(8))
    assert len(metrics_of(broken)) == 4
    run_ppo(broken, prompts(6), shown, stopping(0))
    assert metrics_of(broken) == metrics_of(whole)
    expected, found = tensors(tmp_path / "whole"), tensors(tmp_path / "broken")
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_checkpoints_are_models_with_all_that_resuming_needs_beside(llama: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    s = settings_of(llama, tmp_path / "out", save_every=1, keep=9)
    outcome = run_ppo(s, prompts(4), reward=LENGTH)
    checkpoint = tmp_path / "out" / "checkpoints" / "step-00000001"
    for folder in (checkpoint, outcome.folder):
        model = AutoModelForCausalLM.from_pretrained(folder)
        assert AutoTokenizer.from_pretrained(folder).chat_template
        assert isinstance(model.generation_config.eos_token_id, int)
    assert {file.name for file in (checkpoint / "trainer").iterdir()} == {
        *("optimizer.safetensors", "state.json", "weights.safetensors")
    }
    for file in ("weights", "optimizer"):
        names = load_file(checkpoint / "trainer" / f"{file}.safetensors")
        assert {name.split("/")[0] for name in names} == {"actor", "critic"}
    assert not list((tmp_path / "out").rglob("*.bin")) and not (outcome.folder / "trainer").exists()


def test_the_manifest_knows_reward_and_demonstrations(llama: Path, judge: Path, tmp_path: Path) -> None:
    shown = [Demonstration(id="d", messages=turn("What?"), answer=(Text("yes"),))]
    run_ppo(settings_of(llama, tmp_path / "out", reward=str(judge)), prompts(2), shown)
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None and manifest.method == "ppo"
    assert len(manifest.identity["reward"]) == 64 and len(manifest.identity["ptx_data"]) == 16


def test_a_critic_is_known_by_its_content_wherever_it_lies(llama: Path, judge: Path, tmp_path: Path) -> None:
    def known(folder: Path) -> str:
        s = settings_of(llama, tmp_path, critic=str(folder))
        found: str = PPO(policy_for(s), s, reward=LENGTH).identity()["critic"]
        return found

    moved = Path(shutil.copytree(judge, tmp_path / "moved"))
    assert known(moved) == known(judge)
    head = load_head(moved)
    with torch.no_grad():
        head.weight.add_(1)
    save_head(head, moved)
    assert known(moved) != known(judge)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_no_number_stops_and_names_the_record(
    bad: float, llama: Path, tmp_path: Path
) -> None:
    def score(records: Sequence[Prompt], answers: Sequence[Answer]) -> list[float]:
        return [bad if record.id == "p2" else 1.0 for record in records]

    s = settings_of(llama, tmp_path / "out", save_every=1, keep=9)
    with pytest.raises(NotFinite, match=rf"the reward of the answer to record 'p2' is {bad}"):
        run_ppo(s, prompts(4), reward=score)


def test_a_critic_that_is_no_number_stops_before_anything_is_updated(llama: Path, tmp_path: Path) -> None:
    s = settings_of(llama, tmp_path / "out")
    policy = policy_for(s, reference=True)
    method = PPO(policy, s, reward=LENGTH)
    with torch.no_grad():
        method.critic.head.weight.fill_(math.nan)
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    with pytest.raises(NotFinite, match=r"step 1: .* is nan; nothing was updated. Records of this step: 'p"):
        method_run(method, s)
    assert all(torch.equal(value, before[name]) for name, value in policy.model.state_dict().items())


def method_run(method: PPO, s: PPOSettings) -> None:
    from eval_anything_train.loop import train

    train(method, prompts(2), s, stream=None)


def test_a_reward_of_another_number_of_scores_is_refused(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scores of shape \(1,\) for 2 answers"):
        run_ppo(settings_of(llama, tmp_path / "out"), prompts(2), reward=lambda _, answers: [1.0])


def test_prompts_that_leave_no_room_for_an_answer_are_named_or_skipped(llama: Path, tmp_path: Path) -> None:
    records = [*prompts(3), Prompt(id="long", messages=turn("what " * 40))]
    said = r"record 'long': \d+ tokens of prompt and up to 6 of answer .*max_length is 60"
    with pytest.raises(TooLongError, match=said):
        run_ppo(settings_of(llama, tmp_path / "named", max_length=60), records, reward=LENGTH)
    s = settings_of(llama, tmp_path / "skipped", max_length=60, too_long="skip")
    run_ppo(s, records, reward=LENGTH)
    assert sum(line["records"] for line in metrics_of(s)) == 3
    assert sum(line["skipped"] for line in metrics_of(s)) == 1
    nothing = settings_of(llama, tmp_path / "nothing", max_length=60, too_long="skip")
    with pytest.raises(DataError, match="every record is longer than max_length, 60 tokens"):
        run_ppo(nothing, records[3:], reward=LENGTH)
    assert not (tmp_path / "nothing" / "final").exists()


def test_micro_batches_add_up_to_the_batch(llama: Path, tmp_path: Path) -> None:
    one = settings_of(llama, tmp_path / "one", batch_size=4, epochs=2)
    parts = settings_of(llama, tmp_path / "parts", batch_size=1, accumulate=4, epochs=2)
    for s in (one, parts):
        run_ppo(s, prompts(4), reward=LENGTH)
    for a, b in zip(metrics_of(one), metrics_of(parts), strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)


def test_the_critic_begins_as_the_reward_model_or_with_nothing(
    llama: Path, judge: Path, tmp_path: Path
) -> None:
    s = settings_of(llama, tmp_path, reward=str(judge))
    policy = policy_for(s, reference=True)
    method = PPO(policy, s)
    assert isinstance(method.reward, ModelReward)
    batch = rollout_of(s, prompts(2)).batch
    torch.testing.assert_close(method.critic(**batch.inputs), method.reward.model(**batch.inputs))
    theirs = {p.data_ptr() for p in method.reward.model.parameters()}
    assert not theirs & {p.data_ptr() for p in method.critic.parameters()}
    new = PPO(policy, s, reward=LENGTH).critic
    assert not new(**batch.inputs).any()
    held = {p.data_ptr() for p in policy.model.parameters()}
    assert not held & {p.data_ptr() for p in new.parameters()}
    named = PPO(policy, settings_of(llama, tmp_path, critic=str(judge)), reward=LENGTH).critic
    torch.testing.assert_close(named(**batch.inputs), method.critic(**batch.inputs))


@pytest.mark.parametrize("of_policy", [True, False])
def test_under_adapters_no_weight_is_in_memory_twice(
    of_policy: bool, llama: Path, judge: Path, tmp_path: Path
) -> None:
    """The critic has the frozen weights of the policy, or of the reward model: nothing else than adapters and
    a head is its own. The reference is the policy itself."""
    s = settings_of(llama, tmp_path / "out", reward=str(judge), lora=Lora(rank=2))
    policy = policy_for(s, reference=True)
    method = PPO(policy, s, reward=LENGTH if of_policy else None)
    if of_policy:
        frozen = policy.model
    else:
        assert isinstance(method.reward, ModelReward)
        frozen = method.reward.model
    theirs = {p.data_ptr() for p in frozen.parameters() if not p.requires_grad}
    assert policy.frozen is None
    for name, parameter in method.critic.named_parameters():
        own = "lora_" in name or name == "head.weight"
        assert parameter.requires_grad == own
        assert (parameter.data_ptr() in theirs) == (not own), name
    actors = {id(p) for p in policy.model.parameters() if p.requires_grad}
    assert not actors & {id(p) for p in method.critic.parameters()}
    before = {name: p.clone() for name, p in frozen.named_parameters() if not p.requires_grad}
    method_run(method, s)
    held = dict(frozen.named_parameters())
    assert all(torch.equal(held[name], value) for name, value in before.items())
    assert metrics_of(s)[0]["critic_grad_norm"] > 0


def test_a_reward_model_that_reads_otherwise_is_asked_in_its_own_tokens(
    llama: Path, judge: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(judge, other)
    template = (other / "chat_template.jinja").read_text()
    (other / "chat_template.jinja").write_text(template.replace("<|im_start|>", "<|im_start|>the "))
    s = settings_of(llama, tmp_path, reward=str(other))
    policy = policy_for(s, reference=True)
    assert reads_alike(policy.opened, open_checkpoint(judge, None))
    assert not reads_alike(policy.opened, open_checkpoint(other, None))
    method = PPO(policy, s)
    records = prompts(3)
    rollout = rollout_of(s, records)
    found = method.reward.scores(rollout)
    theirs = open_policy(str(other), {"max_length": 3000}, device="cpu", dtype="float32")
    model = RewardModel(theirs.model, load_head(other)).eval()
    rows = [
        theirs.encoder.conversation(record.messages, answer, record.id)
        for record, answer in zip(records, rollout.answers, strict=True)
    ]
    with torch.no_grad():
        torch.testing.assert_close(torch.as_tensor(found), end_scores(model, collate(rows, theirs.pad)))
    assert not method.critic(**rollout.batch.inputs).any()  # it cannot begin as that model
    with pytest.raises(UsageError, match=r"critic: .* reads conversations differently"):
        PPO(policy, settings_of(llama, tmp_path, critic=str(other)), reward=LENGTH)


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("", "reward: expected the folder of a reward model or a judge of images"),
        ("{llama}", r"not a reward model: no reward_head.safetensors \(train one with `train reward`\)"),
        ("./nowhere", "no such folder"),
        ("imagereward", "image_reward"),
        ("rubric", "judge rubric does not score single images"),
    ],
)
def test_what_scores_nothing_is_said_before_training(
    reward: str, message: str, llama: Path, tmp_path: Path
) -> None:
    s = settings_of(llama, tmp_path, reward=reward.format(llama=llama))
    with pytest.raises((UsageError, DataError), match=message):
        PPO(policy_for(s, reference=True), s)


def test_actor_and_critic_have_rates_of_their_own(llama: Path, tmp_path: Path) -> None:
    s = settings_of(
        llama,
        tmp_path / "out",
        **{"epochs": 4, "lr": 1e-3, "warmup": 0.0, "schedule": "linear"},
        **{"critic_lr": 2e-3, "critic_warmup": 0.5, "critic_schedule": "constant"},
    )
    run_ppo(s, prompts(2), reward=LENGTH)
    assert [line["lr"] for line in metrics_of(s)] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    assert [line["critic_lr"] for line in metrics_of(s)] == pytest.approx([1e-3, 2e-3, 2e-3, 2e-3])


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_bfloat16_is_computed_in_by_all_models_alike(
    lora: Lora | None, llama: Path, judge: Path, tmp_path: Path
) -> None:
    s = settings_of(llama, tmp_path / "out", dtype="bfloat16", lora=lora, reward=str(judge), epochs=2)
    outcome = run_ppo(s, prompts(2))
    first, second = metrics_of(s)
    assert first["ratio"] == second["ratio"] == 1.0 and first["kl"] == 0.0 != second["kl"]
    assert {v.dtype for v in load_file(outcome.folder / "model.safetensors").values()} == {torch.bfloat16}


def test_dropout_is_off(llama: Path, tmp_path: Path) -> None:
    """Or new and old probabilities would differ by more than the update."""
    s = settings_of(llama, tmp_path / "out", lora=Lora(rank=2, dropout=0.5), epochs=2)
    run_ppo(s, prompts(2), reward=LENGTH)
    assert [line["ratio"] for line in metrics_of(s)] == [1.0, 1.0]


def test_gradient_checkpointing_gives_the_same_numbers(llama: Path, tmp_path: Path) -> None:
    plain = settings_of(llama, tmp_path / "plain", epochs=2)
    twice = settings_of(llama, tmp_path / "twice", epochs=2, gradient_checkpointing=True)
    for s in (plain, twice):
        run_ppo(s, prompts(2), reward=LENGTH)
    assert metrics_of(twice) == metrics_of(plain)


def test_it_is_in_the_registry() -> None:
    assert method_class("ppo") is PPO and PPO.needs_reference and PPO.takes is Prompt
