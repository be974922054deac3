"""What `train llf` is told, by flags, files and presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval_anything.cli.main import Parser
from eval_anything.errors import UnknownName, UsageError
from eval_anything_train import cli, presets
from eval_anything_train.llf.settings import STAGES, LLFSettings, Refining, Sampling

MUST = ["--model", "m", "--data", "d", "--out", "o"]


def read(*words: str) -> LLFSettings:
    parser = Parser(allow_abbrev=False)
    cli.add_arguments(parser)
    found = cli.settings_of(parser.parse(["llf", *MUST, *words]))
    assert isinstance(found, LLFSettings)
    return found


def test_by_default_all_stages_and_the_papers_sampling() -> None:
    found = read()
    assert found.stages == STAGES
    assert (found.then, found.feedback_model, found.feedback_share) == ("dpo", "train", 1.0)
    assert found.respond == found.critique == Sampling(temperature=1, repetition_penalty=1.1, max_tokens=2048)
    assert found.refine == Refining(temperature=1, repetition_penalty=1.1, max_tokens=4096)


def test_a_part_of_a_stages_sampling_leaves_the_rest_as_it_is() -> None:
    assert read("--refine.temperature", "0.5").refine == Refining(temperature=0.5, max_tokens=4096)
    assert read("--respond", "max_tokens=8", "temperature=0").respond == Sampling(temperature=0, max_tokens=8)


def test_trainings_and_models_take_pairs_of_key_and_value() -> None:
    found = read(
        "--dpo", "lr=1e-3", "beta=0.2", "--dpo", "epochs=1", "--generator-options", "base_url=http://a=b"
    )
    assert found.dpo == {"lr": "1e-3", "beta": "0.2", "epochs": "1"}
    assert found.generator_options == {"base_url": "http://a=b"}
    with pytest.raises(UsageError, match="--dpo 'lr' is not of the form key=value"):
        read("--dpo", "lr")


def test_flags_win_over_the_file_which_wins_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "llf.yaml"
    file.write_text(
        "preset: ti2t\ndpo: {lr: 2.0e-3, clip: 0.5}\nrefine: {temperature: 0.5}\nstages: [pairs, train]\n"
    )
    found = read("--config", str(file), "--dpo", "lr=3e-3", "--refine.max-tokens", "9")
    assert {name: found.dpo[name] for name in ("lr", "clip", "epochs")} == {
        "lr": "3e-3",
        "clip": 0.5,
        "epochs": 2,
    }
    assert found.refine == Refining(temperature=0.5, max_tokens=9)
    assert found.stages == ("pairs", "train")
    assert found.feedback["max_length"] == 4096


def test_a_preset_is_the_tables_of_all_its_trainings() -> None:
    found: dict[str, Any] = presets.preset("llf", "tv2t")
    assert found.pop("dtype") == "bfloat16"  # of all of them: so --dtype says it for all
    for name, values in found.items():
        assert {**values, "dtype": "bfloat16"} == presets.preset(name, "tv2t")
    assert set(found) == {"feedback", "reward", "dpo", "ppo"}
    assert read("--preset", "tv2t", "--dtype", "float32").dtype == "float32"
    with pytest.raises(UnknownName, match="unknown preset 'tv2x'; did you mean 'tv2t'"):
        presets.preset("llf", "tv2x")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--stages", "respond,pears"], "--stages: unknown value 'pears'; did you mean 'pairs'"),
        (["--then", "sft"], "--then: unknown value 'sft'"),
        (["--outputs", "text,smell"], "--outputs: unknown value 'smell'"),
        (["--feedback-share", "1.5"], "--feedback-share: Expected `float` <= 1.0"),
        (["--critique", "temp=1"], "unknown setting 'critique.temp'"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], told: str) -> None:
    with pytest.raises(UsageError) as fault:
        read(*words)
    assert told in str(fault.value)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--respond.max-token", "did you mean '--respond.max-tokens'"),
        ("--epochs", "unknown option '--epochs'"),  # of which training?
    ],
)
def test_an_unknown_flag_is_answered_with_the_nearest(
    word: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read(word, "3")
    assert told in capsys.readouterr().err
