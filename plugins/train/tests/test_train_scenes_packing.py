"""Many lessons in one row give what each gives by itself through the whole model; encoders too."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from test_train_scenes_media import Exact

from eval_anything.models.hf import load
from eval_anything.synth import audio, image
from eval_anything.synth.scene import scene
from eval_anything.values import File, Message, Part, Text
from eval_anything_train.policy import Policy, open_policy
from eval_anything_train.scenes import attention, carrier, rows
from eval_anything_train.scenes.packing import Packed, Packer
from eval_anything_train.scenes.rows import Row
from eval_anything_train.scenes.settings import Course
from eval_anything_train.scenes.study import answers


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    load.libraries()
    folder = tmp_path_factory.mktemp("carrier")
    carrier.build(folder, 0)
    found = open_policy(str(folder), {"max_length": 2048})
    found.model.eval()
    return found


@pytest.fixture(scope="module")
def packer(policy: Policy) -> Packer:
    return Packer(policy.opened, policy.model)


def conversation(row: Row, number: int, folder: Path) -> list[Message]:
    """Lesson `number` of a row as one would ask it."""
    parts: list[Part] = [Text(row.lead)] if row.lead else []
    for side in row.shown:
        if side == "seen":
            (folder / "a.png").write_bytes(image.png(row.scene))
            parts.append(File(str(folder / "a.png"), "image"))
        else:
            (folder / "a.wav").write_bytes(audio.wav(row.scene))
            parts.append(File(str(folder / "a.wav"), "audio"))
    lesson = row.lessons[number]
    messages = [Message("user", (*parts, Text(lesson.turns[0])))]
    for place, turn in enumerate(lesson.turns[1:]):
        messages.append(Message("user" if place % 2 else "assistant", (Text(turn),)))
    return [Message("system", (Text(row.system),)), *messages] if row.system else messages


def packed_rows(packer: Packer, count: int) -> list[Packed]:
    """Rows without clips and odd pictures, whose pixels are exactly those of files."""
    found: list[Packed] = []
    for seed in range(10_000):
        row = rows.draw(Random(seed), Course())
        if row.scene.video and "seen" in row.shown:
            continue
        item = packer.pack(row, Exact(0), Course(), str(seed))
        if item.grid in (None, (1, 6, 6)):
            found.append(item)
        if len(found) == count:
            break
    return found


def test_each_lesson_is_what_it_is_alone(policy: Policy, packer: Packer, tmp_path: Path) -> None:
    items = packed_rows(packer, 12)
    assert {item.row.shown for item in items} >= {("seen", "heard"), ()}
    tokenizer = policy.opened.tokenizer
    with torch.no_grad():
        logits, targets, weights = answers(policy.model, packer.collate(items))
    assert len(logits) == len(targets) == len(weights) == sum(e - a for i in items for _, a, e in i.branches)
    place = 0
    for item in items:
        for number, (start, answer, end) in enumerate(item.branches):
            said = tokenizer.decode(item.ids[answer : end - 1])
            alone = policy.encoder.conversation(
                conversation(item.row, number, tmp_path), (Text(said),), item.id
            )
            assert alone.input_ids.tolist() == item.ids[: item.shared] + item.ids[start:end]
            with torch.no_grad():
                mask = torch.ones_like(alone.input_ids)[None]
                out = policy.model(input_ids=alone.input_ids[None], attention_mask=mask, **alone.media)
            count = end - answer
            expected = out.logits[0, -count - 1 : -1]
            assert (logits[place : place + count] - expected).abs().max() < 1e-3
            assert torch.allclose(weights[place : place + count], torch.tensor(count**-0.5))
            place += count


def test_a_row_has_no_more_tokens_than_the_course(packer: Packer) -> None:
    for seed in range(40):
        row = rows.draw(Random(seed), Course())
        item = packer.pack(row, Random(0), Course(tokens=200))
        assert len(item.branches) == 1 or len(item) <= 200


@pytest.mark.parametrize("lengths", [[5, 5, 5], [3, 7, 1]])
def test_attention_of_many_media_in_one_call(lengths: list[int]) -> None:
    torch.manual_seed(0)
    total = sum(lengths)
    query, key, value = torch.randn(3, 1, 2, total, 8)
    borders = torch.tensor([0, *lengths]).cumsum(0)
    found, _ = attention.attend(
        torch.nn.Identity(), query, key, value, None, scaling=0.3, cu_seq_lens_q=borders
    )
    for start, end in itertools.pairwise(borders):
        part = slice(int(start), int(end))
        scores = (query[0, :, part] @ key[0, :, part].transpose(1, 2) * 0.3).softmax(-1)
        expected = (scores @ value[0, :, part]).transpose(0, 1)
        assert torch.allclose(found[0, part], expected, atol=1e-5)


def test_encoders_give_the_same_with_it(policy: Policy, packer: Packer) -> None:
    inner: Any = policy.model.model
    drawn = [scene(Random(n)) for n in range(6)]
    mels, held = packer.media.sounds(drawn)
    pixels = torch.cat([packer.media.picture(one, Random(0))[0] for one in drawn])
    grid = torch.tensor([[1, 6, 6]] * len(drawn))
    heard = {
        "input_features": mels.permute(0, 2, 1)[held.bool()].T,
        "feature_lens": held.sum(1),
    }
    with torch.no_grad():
        before = inner.visual(pixels, grid_thw=grid).pooler_output, inner.audio_tower(**heard)[0]
        kernels = [e.config._attn_implementation for e in (inner.visual, inner.audio_tower)]
        attention.use(policy.model)
        after = inner.visual(pixels, grid_thw=grid).pooler_output, inner.audio_tower(**heard)[0]
    for encoder, kernel in zip((inner.visual, inner.audio_tower), kernels, strict=True):
        encoder.config._attn_implementation = kernel
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(before, after, strict=True))
