"""PPO on models that answer with images as tokens: what is drawn, from where, and what is trained."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tiny_rewards
import torch
from ppo_kit import metrics_of, reward_model, run_ppo
from ppo_kit import settings_of as plain_settings
from safetensors.torch import load_file
from tiny_discrete import EDGE, MAKERS, TOKENS
from train_kit import media, turn

from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything.judges import images
from eval_anything.values import File, Text
from eval_anything_train.logprobs import TwoVocabularies
from eval_anything_train.policy import policy_for
from eval_anything_train.ppo.drawing import Drawer, Painter
from eval_anything_train.ppo.method import PPO
from eval_anything_train.ppo.rewards import ImageReward
from eval_anything_train.ppo.rollouts import Questions, Rollout
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.session import Session
from eval_anything_train.settings import Lora
from eval_anything_train.values import Answer, Prompt


@pytest.fixture(scope="module", params=list(MAKERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = MAKERS[request.param](tmp_path_factory.mktemp(request.param) / "model")
    return made


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS["janus"](tmp_path_factory.mktemp("janus") / "model")


def records(place: Path) -> list[Prompt]:
    files = media(place / "media")
    asked = (
        turn("Draw a red circle."),
        turn(files.image[0], "the same in blue"),
        turn("Draw the sound of it, " * 2),
    )
    return [Prompt(id=f"p{n}", messages=messages) for n, messages in enumerate(asked)]


def settings_of(model: Path, out: Path, **more: Any) -> PPOSettings:
    return plain_settings(model, out, **{"max_length": 600, **more})


def nothing(_: Sequence[Prompt], answers: Sequence[Answer]) -> list[float]:
    return [0.0 for _ in answers]


def method_of(s: PPOSettings, judge: Path | None = None, reward: Any = None) -> PPO:
    return PPO(policy_for(s, reference=True), s, reward=reward)


def rollout_of(method: PPO, asked: Sequence[Prompt]) -> Rollout:
    questions = method.collate([method.encode(record) for record in asked])
    assert isinstance(questions, Questions)
    sampler = method.sampler(Session(method.settings), method.policy.model)
    return sampler.answer(questions, 0)


@pytest.fixture(scope="module")
def judged(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reward_model(tmp_path_factory.mktemp("judge") / "folder", folder)


def answers_of(rollout: Rollout) -> list[tuple[list[int], list[bool]]]:
    """The ids behind each prompt, and which of them are the model's."""
    found = []
    for ids, response, mask in zip(
        rollout.batch.inputs["input_ids"],
        rollout.batch.response,
        rollout.batch.inputs["attention_mask"],
        strict=True,
    ):
        start = int(response.nonzero()[0])
        end = int(mask.sum())
        found.append((ids[start:end].tolist(), response[start:end].tolist()))
    return found


def test_an_image_is_as_many_codes_as_it_has_and_what_stands_around_is_given(
    folder: Path, judged: Path, tmp_path: Path
) -> None:
    s = settings_of(folder, tmp_path, reward=str(judged), answers="image", max_new_tokens=TOKENS + 3)
    method = method_of(s)
    rollout = rollout_of(method, records(tmp_path))
    encoder: Any = method.policy.encoder
    network: Any = method.policy.model
    for ids, said in answers_of(rollout):
        assert network.is_code(torch.tensor(ids[:TOKENS])).all()
        around = [] if encoder.on_request else [encoder.stop, encoder.end]
        assert ids[TOKENS:] == around
        assert said == [True] * TOKENS + [False] * len(around)
    before = [
        int(mask.sum()) - len(ids) - 1
        for (ids, _), mask in zip(answers_of(rollout), rollout.batch.inputs["attention_mask"], strict=True)
    ]
    firsts = [int(row[place]) for row, place in zip(rollout.batch.inputs["input_ids"], before, strict=True)]
    assert firsts == [encoder.start] * 3
    assert rollout.lengths == (TOKENS,) * 3 and all(rollout.ended)


def test_words_and_images_by_turns(folder: Path, judged: Path, tmp_path: Path) -> None:
    """The mark that begins an image is made likely; with room for two images there are never three."""
    s = settings_of(
        folder, tmp_path, reward=str(judged), answers="any", max_new_tokens=2 * TOKENS + 12, temperature=2.0
    )
    method = method_of(s)
    encoder: Any = method.policy.encoder
    network: Any = method.policy.model
    asked = [Prompt(id=f"q{n}", messages=turn("Explain red")) for n in range(12)]
    with torch.no_grad():
        network.lm_head.weight[encoder.start] *= 8.0
    rollout = rollout_of(method, asked)
    images = 0
    for ids, said in answers_of(rollout):
        codes = network.is_code(torch.tensor(ids)).tolist()
        starts = [place for place, token in enumerate(ids) if token == encoder.start]
        images += len(starts)
        for place in starts:
            assert all(codes[place + 1 : place + 1 + TOKENS])
            assert ids[place + 1 + TOKENS] == encoder.stop and not said[place + 1 + TOKENS]
        assert sum(codes) == TOKENS * len(starts)
        assert ids.count(encoder.stop) == len(starts) == said.count(False)
        assert len(ids) <= s.max_new_tokens
    assert images > 3


def test_what_is_drawn_is_what_the_network_says(janus: Path, tmp_path: Path) -> None:
    """Codes are drawn one after another with a cache, padded on the left, beside others; almost greedily they
    are those that the whole conversation's pass foretells."""
    s = settings_of(janus, tmp_path, answers="image", max_new_tokens=TOKENS, temperature=1e-4)
    method = method_of(s, reward=nothing)
    rollout = rollout_of(method, records(tmp_path))
    network: Any = method.policy.model.eval()
    batch = rollout.batch
    assert isinstance(network, TwoVocabularies)
    with torch.no_grad():
        at = torch.nn.functional.pad(batch.response[:, 1:], (0, 1))
        out = network(**batch.inputs, codes_at=at, use_cache=False)
    best = out.code_logits.argmax(dim=-1)
    drawn = network.code_of(batch.inputs["input_ids"][batch.response])
    assert (best == drawn).float().mean() > 0.95


def test_images_are_files_for_rewards_that_look(janus: Path, tmp_path: Path) -> None:
    seen: list[Answer] = []
    sizes: list[tuple[int, int]] = []

    def score(asked: Sequence[Prompt], answers: Sequence[Answer]) -> list[float]:
        for answer in answers:
            seen.append(answer)
            (part,) = answer
            assert isinstance(part, File) and part.modality == "image"
            with PIL.Image.open(part.path) as image:
                sizes.append(image.size)
        return [float(len(answer)) for answer in answers]

    s = settings_of(janus, tmp_path / "out", answers="image", max_new_tokens=TOKENS, batch_size=3)
    outcome = run_ppo(s, records(tmp_path), reward=score)
    assert sizes == [(EDGE, EDGE)] * 3 and len({part.path for (part,) in seen if isinstance(part, File)}) == 3
    assert metrics_of(s)[0]["reward"] == 1.0
    assert not any(Path(part.path).exists() for (part,) in seen if isinstance(part, File))
    before, after = (load_file(f / "model.safetensors") for f in (janus, outcome.folder))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("generation_head" in name for name in changed)
    assert not any("vqmodel" in name for name in changed)


@pytest.mark.parametrize("answers", ["image", "any"])
def test_a_judge_of_images_scores_them(answers: Any, janus: Path, tmp_path: Path) -> None:
    weights = tiny_rewards.image_reward(tmp_path / "judge")
    s = settings_of(
        janus,
        tmp_path / "out",
        **{"answers": answers, "max_new_tokens": TOKENS + 3, "batch_size": 3, "epochs": 2},
        reward=f"image_reward:model={weights},batch_size=2",
    )
    if answers == "any":  # a model that draws nothing has nothing that could be scored
        with pytest.raises(
            EvalAnythingError, match=r"scores images, and the answer to record 'p\d' has none"
        ):
            run_ppo(s, records(tmp_path))
        return
    outcome = run_ppo(s, records(tmp_path))
    told = outcome.manifest.identity["reward"]
    assert re.fullmatch("image_reward:model=[0-9a-f]{64},batch_size=2", told)
    rollout = rollout_of(method := method_of(s), records(tmp_path))
    files = [part.path for (part,) in rollout.answers if isinstance(part, File)]
    asked = ["Draw a red circle.", "the same in blue", "Draw the sound of it, " * 2]
    scorer = images.reward("image_reward", model=str(weights), device="cpu")
    found = method.reward.scores(rollout)
    assert list(found) == pytest.approx(scorer.score(asked, files), abs=1e-5)
    assert metrics_of(s)[0]["reward"] == pytest.approx(float(np.mean(found)), abs=1e-4)


@pytest.mark.parametrize("file", ["", "ImageReward.pt"])
def test_a_judge_of_images_is_known_by_its_weights_wherever_they_lie(file: str, tmp_path: Path) -> None:
    def known(folder: Path) -> str:
        return ImageReward(f"image_reward:model={folder / file}", "cpu").identity()

    def trained(held: dict[str, torch.Tensor]) -> None:
        for value in held.values():
            value += 1

    weights = tiny_rewards.image_reward(tmp_path / "judge")
    moved = Path(shutil.copytree(weights, tmp_path / "moved"))
    assert known(moved) == known(weights)
    assert known(tiny_rewards.image_reward(tmp_path / "other", change=trained)) != known(weights)


def test_rewards_that_score_no_answers_are_refused(janus: Path, tmp_path: Path) -> None:
    weights = tiny_rewards.image_reward(tmp_path / "judge")
    words = settings_of(janus, tmp_path, reward=f"image_reward:model={weights}")
    with pytest.raises(UsageError, match="scores images: set answers to image"):
        method_of(words)
    for spec, said in {
        "image_reward:weights": r"expected image_reward:OPTION=VALUE, found 'weights'",
        "image_reward:modle=x": "model",
        f"image_reward:model={tmp_path / 'nowhere'}": "nowhere",
    }.items():
        with pytest.raises(EvalAnythingError, match=said):
            method_of(settings_of(janus, tmp_path, answers="image", reward=spec))


def test_a_painted_image_is_its_codes(janus: Path, tmp_path: Path) -> None:
    """The decoder gives what transformers' own generation would."""
    policy = policy_for(settings_of(janus, tmp_path))
    codes = torch.arange(TOKENS)
    painter = Painter(policy)
    (path,) = painter.paint([codes], "cpu")
    with torch.no_grad():
        pixels = policy.model.decode_image_tokens(codes[None])
    expected = policy.opened.processor.postprocess(list(pixels.float()), return_tensors="pt")
    with PIL.Image.open(path) as image:
        found = torch.from_numpy(np.asarray(image)).permute(2, 0, 1)
    assert (found.int() - expected["pixel_values"][0].int()).abs().max() <= 1
    assert found.float().std() > 5


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
@pytest.mark.parametrize("answers", ["text", "image", "any"])
def test_a_policy_of_two_vocabularies_is_updated(
    answers: Any, lora: Lora | None, folder: Path, judged: Path, tmp_path: Path
) -> None:
    s = settings_of(
        folder,
        tmp_path / "out",
        **{"batch_size": 3, "epochs": 2, "max_new_tokens": TOKENS + 4, "kl_coeff": 0.1, "lora": lora},
        **{"answers": answers, "reward": str(judged)},
    )
    run_ppo(s, records(tmp_path))
    first, second = metrics_of(s)
    assert first["ratio"] == second["ratio"] == 1.0 and first["kl"] == 0.0 != second["kl"]
    assert first["grad_norm"] > 0 and first["critic_grad_norm"] > 0
    if answers == "image":
        assert first["length"] == TOKENS


def test_what_cannot_be_drawn_or_seen_is_said_before_training(
    folder: Path, janus: Path, tmp_path: Path
) -> None:
    import tiny_models

    short = settings_of(folder, tmp_path, answers="image", max_new_tokens=TOKENS - 1)
    if "chameleon" in str(folder):
        with pytest.raises(UsageError, match="stay tokens: expected a reward model that reads them"):
            method_of(short, reward=nothing)
    else:
        method = method_of(short, reward=nothing)
        with pytest.raises(UsageError, match=rf"an image has {TOKENS} tokens, and {TOKENS - 1} are allowed"):
            method.sampler(Session(short), method.policy.model)
    llama = tiny_models.tiny_llama(tmp_path / "llama")
    s = settings_of(llama, tmp_path, answers="image")
    with pytest.raises(UsageError, match="answers in text alone"):
        method_of(s, reward=nothing)


def test_drawers_are_for_two_vocabularies(janus: Path, tmp_path: Path) -> None:
    s = settings_of(janus, tmp_path, answers="any", max_new_tokens=TOKENS + 3)
    method = method_of(s, reward=nothing)
    sampler = method.sampler(Session(s), method.policy.model)
    assert isinstance(sampler, Drawer) and sampler.painter is not None
    rollout = rollout_of(method, [Prompt(id="p", messages=turn("What?"))])
    assert all(isinstance(part, Text | File) for part in rollout.answers[0])
