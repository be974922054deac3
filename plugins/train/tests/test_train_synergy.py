"""`train synergy`: preferences whose truth is known, a judge that the harness loads, stages as published."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from eval_anything.cli.main import main
from eval_anything.judges.agreement import heard_alike, seen_alike, stated
from eval_anything.judges.synergy.config import read
from eval_anything.judges.synergy.load import load_tokenizer
from eval_anything.judges.synergy.preprocess import mel_clips, read_image
from eval_anything.models.hf import load
from eval_anything.synth import image
from eval_anything.synth.parse import mentions
from eval_anything.synth.scene import SHAPES, TIMBRES, scene
from eval_anything_train.scenes.media import recording
from eval_anything_train.settings import Settings
from eval_anything_train.synergy import carrier, preferences
from eval_anything_train.synergy.exam import Report
from eval_anything_train.synergy.judge import Judge
from eval_anything_train.synergy.media import Media, heard
from eval_anything_train.synergy.reading import TOLD, Reading
from eval_anything_train.values import Prompt

TINY = """
stages:
  - {name: sight, method: sight, rows: 8, batch_size: 4, lr: 1.0e-3}
  - {name: hearing, method: hearing, rows: 8, batch_size: 4, lr: 1.0e-3}
  - {name: reading, method: reading, rows: 4, batch_size: 2, lr: 1.0e-3, words: 0.5}
  - {name: projectors, method: projectors, rows: 8, batch_size: 4, lr: 1.0e-3}
  - {name: everything, method: everything, rows: 8, batch_size: 4, lr: 1.0e-3}
"""


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_the_better_answer_goes_together_better(seed: int) -> None:
    for pair in preferences.PAIRS:
        drawn = preferences.draw(Random(seed), pair)
        assert drawn.better.synergy >= drawn.worse.synergy + 0.1
        for answer in (drawn.better, drawn.worse):
            said = mentions(answer.text)
            if pair == "text-image":
                shown = stated(msgspec.structs.replace(answer.shown, video=False))
                assert answer.synergy == seen_alike(said.objects, shown.objects)
            elif pair == "text-audio":
                assert answer.synergy == heard_alike(said.sounds, stated(answer.sounding).sounds)
            else:
                assert not answer.text


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    load.libraries()
    folder = tmp_path_factory.mktemp("judge")
    carrier.build(folder, 0)
    return Judge(folder)


def test_media_are_those_that_the_judge_reads(tmp_path: Path) -> None:
    media = Media()
    drawn = scene(Random(1), objects=3)
    (tmp_path / "a.png").write_bytes(image.png(drawn))

    class Exact(Random):
        def random(self) -> float:
            return 0.9

    found = media.images([drawn], Exact(0))[0]
    # Resized, a pixel of the file is rounded and cut off twice, and the tensor once.
    difference = (found - torch.from_numpy(read_image(tmp_path / "a.png"))).abs()
    assert difference.mean() < 0.01 and difference.max() < 0.3


def test_clips_that_are_the_same_come_once(judge: Judge) -> None:
    drawn = [scene(Random(n), sounds=n) for n in (1, 5, 3)]
    clips, owners = Media().sounds(drawn)
    assert owners.tolist() == [0, 1, 1, 1, 2]
    tower = judge.model.modality_tower
    with torch.no_grad():
        found = heard(tower, clips, owners)
        whole = torch.stack([torch.from_numpy(mel_clips(recording(one))) for one in drawn])
        assert torch.allclose(found, tower.audio(whole), atol=1e-4)


def test_what_is_told_of_a_token_is_about_that_token(judge: Judge) -> None:
    reading = Reading(judge, Settings(model="m", data="reading", out="o"), words=0.3)
    tokenizer = load_tokenizer(judge.folder, read(judge.folder))
    media = {tokenizer.convert_tokens_to_ids(name) for name in ("<image>", "<audio>")}
    nouns = re.compile("|".join((*SHAPES, *TIMBRES)))
    for number in range(20):
        for answer in reading.encode(Prompt(id=f"test/{number}", messages=())).answers:
            ids = answer.shown.ids
            for token, kind, value in answer.told:
                assert 0 <= value <= 1
                match TOLD[kind]:
                    case "named":
                        # A noun may be spelt in pieces: it ends here.
                        assert nouns.search(tokenizer.decode(ids[max(0, token - 6) : token + 1]))
                    case "asked":
                        assert ids[token] in media
                    case "together":
                        assert token == len(ids) - 1
            if answer.true:
                told = [value for _, kind, value in answer.told if TOLD[kind] == "named"]
                assert told and all(value == 1 for value in told)


def test_a_judge_comes_out_that_the_harness_uses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text(TINY)
    out = tmp_path / "out"
    command = ["train", "synergy", "--recipe", str(tmp_path / "recipe.yaml"), "--out", str(out), "-q"]
    assert main([*command, "--exam", "12"]) == 0
    report = msgspec.json.decode((out / "exam-0-12" / "report.json").read_bytes(), type=Report)
    assert {name: share.of for name, share in report.agreement.items()} == {
        "text-image": 12,
        "text-audio": 12,
        "image-audio": 12,
        "all": 36,
    }
    assert report.turned.share == 1  # each answer is scored by itself
    assert "| image-audio |" in capsys.readouterr().out
    folders = sorted(path for path in out.iterdir() if path.name[0] == "0")
    carried, _, senses, reading, projectors, everything = (
        load_file((folder / "final" if (folder / "final").is_dir() else folder) / "model.safetensors")
        for folder in folders
    )

    def changed(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
        return {name.split(".")[0] for name in one if not torch.equal(one[name], other[name])}

    assert changed(carried, senses) == {"modality_tower"}
    assert changed(senses, reading) == {"image_projector", "audio_projector", "language_model"}
    assert changed(reading, projectors) == {"image_projector", "audio_projector", "score_head"}
    assert changed(projectors, everything) == {
        *("image_projector", "audio_projector", "score_head", "language_model")
    }
    scored = ["run", "--model", "fake/echo", "--agent", "text-protocol", "--tasks", "amg_synergy"]
    scored += ["--data", "synthetic:n=2", "--judge", "synergy", "-J", f"model={out / 'final'}"]
    assert main([*scored, "--out", str(tmp_path / "run"), "-q"]) in (0, 3)
    # Another seed is another work.
    assert main([*command, "--exam", "0", "--seed", "1"]) == 2
