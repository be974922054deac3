"""Settings from presets, files and flags: who wins, and what is said of what does not fit."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from eval_anything.cli.main import Parser
from eval_anything.errors import UnknownName, UsageError
from eval_anything_train import cli
from eval_anything_train.config import METHODS, Layer, assemble, settings_class
from eval_anything_train.fields import fields
from eval_anything_train.settings import Lora, Settings

MUST = ["--model", "m", "--data", "d", "--out", "o"]


def read(*words: str, method: str = "dpo") -> Any:
    """The settings of a command line, as `eval-anything train` reads it."""
    parser = Parser(allow_abbrev=False)
    cli.add_arguments(parser)
    return cli.settings_of(parser.parse([method, *words]))


def written(folder: Path, text: str) -> list[str]:
    path = folder / "train.yaml"
    path.write_text(text)
    return ["--config", str(path)]


def test_flags_win_over_the_file_which_wins_over_the_preset_which_wins_over_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "batch_size: 7\nlr: 1e-3\n")
    assert read(*MUST).epochs == 3
    found = read(*MUST, "--preset", "ti2t", *file, "--lr", "2e-3")
    assert (found.epochs, found.batch_size, found.lr, found.clip) == (2, 7, 2e-3, 1.0)


def test_the_file_may_name_the_preset_and_a_flag_another(tmp_path: Path) -> None:
    file = written(tmp_path, "preset: tv2t\nmodel: m\ndata: d\nout: o\n")
    assert read(*file).warmup == 0.1
    assert read(*file, "--preset", "t2i").warmup == 0.03
    with pytest.raises(UnknownName, match="unknown preset 'tv2x'; did you mean 'tv2t'"):
        read(*written(tmp_path, "preset: tv2x\nmodel: m\ndata: d\nout: o\n"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--lora", "rank=8", "targets=q_proj,v_proj"], Lora(rank=8, targets=("q_proj", "v_proj"))),
        (["--lora.rank", "8", "--lora.alpha", "2"], Lora(rank=8, alpha=2.0)),
        (["--lora", "rank=8", "--lora.dropout=0.1"], Lora(rank=8, dropout=0.1)),
        ([], None),
    ],
)
def test_adapters_by_pairs_or_by_dotted_flags(words: list[str], expected: Lora | None) -> None:
    assert read(*MUST, *words).lora == expected


def test_parts_of_adapters_come_from_file_and_flags_together_and_can_be_taken_back(tmp_path: Path) -> None:
    file = written(tmp_path, "lora: {rank: 8, targets: [q_proj]}\n")
    assert read(*MUST, *file, "--lora.rank", "4").lora == Lora(rank=4, targets=("q_proj",))
    assert read(*MUST, *file, "--no-lora").lora is None


def test_switches_lists_and_numbers_of_both_forms(tmp_path: Path) -> None:
    file = written(tmp_path, "gradient_checkpointing: true\nbetas: [0.8, 0.9]\nlimit: null\nlr: 1e-6\n")
    found = read(*MUST, *file)
    assert (found.gradient_checkpointing, found.betas, found.limit, found.lr) == (
        True,
        (0.8, 0.9),
        None,
        1e-6,
    )
    found = read(*MUST, *file, "--no-gradient-checkpointing", "--betas", "0.7, 0.6", "--limit", "5")
    assert (found.gradient_checkpointing, found.betas, found.limit) == (False, (0.7, 0.6), 5)


@pytest.mark.parametrize("method", METHODS)
def test_each_field_has_a_flag_words_and_a_way_to_set_it(method: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        read("--help", method=method)
    shown = capsys.readouterr().out
    for name, field in fields(settings_class(method)).items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.doc, f"{method}: {name} has no docstring"
    assert f"eval-anything train {method} " in shown.split("examples:")[1]


@pytest.mark.parametrize("method", METHODS)
def test_defaults_said_as_flags_are_the_defaults(method: str) -> None:
    """A round trip of every field's default through the words of a command line."""
    must = MUST if "model" in fields(settings_class(method)) else ("--out", "o")
    plain = read(*must, method=method)
    words: list[str] = []
    for name, field in fields(settings_class(method)).items():
        value, flag = field.default, f"--{name.replace('_', '-')}"
        if field.required or value in (None, {}) or field.struct:
            continue
        if field.is_switch:
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    assert read(*must, *words, method=method) == plain


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "x"], "--lr: Expected `float`, got `str`, not 'x'"),
        (["--lr", "0"], "--lr: Expected `float` > 0.0, not '0'"),
        (["--lr", "inf"], "--lr: expected a finite number, not 'inf'"),
        (["--lr", "nan"], "--lr: Expected `float` > 0.0, not 'nan'"),
        (["--epochs", "1.5"], "--epochs: Expected `int`"),
        (["--warmup", "1"], "--warmup: Expected `float` < 1.0"),
        (["--betas", "0.9"], "--betas: Expected `array` of length 2"),
        (["--schedule", "cosin"], "--schedule: unknown value 'cosin'; did you mean 'cosine'?"),
        (["--too-long", "drop"], "--too-long: unknown value 'drop' (known: cut, error, skip)"),
        (["--lora", "rnk=8"], "unknown setting 'lora.rnk'; did you mean 'lora.rank'?"),
        (["--lora", "rank"], "--lora 'rank' is not of the form key=value"),
        (["--seed", "99999999999999999999"], "--seed: Expected `int` <= 9223372036854775807"),
        (["--lora", "rank=0"], "--lora.rank: Expected `int` >= 1, not '0'"),
        (["--lora.alpha", "2"], "train dpo: Object missing required field `rank` - at `$.lora`"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_flag(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as fault:
        read(*MUST, *words)
    assert message in str(fault.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_lenght: 3", "unknown setting 'max_lenght'; did you mean 'max_length'?"),
        ("max-length: 3", "unknown setting 'max-length'; did you mean 'max_length'?"),
        ("lora: {rnk: 3}", "unknown setting 'lora.rnk'; did you mean 'lora.rank'?"),
        ("lora: 3", "lora: Expected `object | null`, got `int`, not 3"),
        ("lr: fast", "lr: Expected `float`, got `str`, not 'fast'"),
        ("gradient_checkpointing: maybe", "gradient_checkpointing: Expected `bool`"),
        ("schedule: cosin", "schedule: unknown value 'cosin'; did you mean 'cosine'?"),
        ("desirable_weight: 1", "unknown setting 'desirable_weight'"),  # of another method
        ("[lr]", "expected a mapping"),
        ("lr: [", "line 2: not YAML"),
        ("3: 4", "unknown setting '3'"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as fault:
        read(*MUST, *written(tmp_path, text + "\n"))
    assert message in str(fault.value)
    assert str(fault.value).startswith(
        f"--config{': ' if 'mapping' in message or 'YAML' in message else ' '}"
    )
    assert "train.yaml" in str(fault.value)


@pytest.mark.parametrize("written_as", ["[ti2t]", "5", "0", "[]", "{ti2t: 1}"])
def test_a_preset_in_a_file_is_one_name(written_as: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="train dpo: preset: expected one name, not"):
        read(*MUST, *written(tmp_path, f"preset: {written_as}\n"))


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(UsageError, match="train dpo: --out, --data must be given"):
        read("--model", "m")


def test_no_setting_has_the_name_of_another_option() -> None:
    for method in METHODS:
        assert not fields(settings_class(method)).keys() & {
            "preset",
            "config",
            "json",
            "quiet",
            "method",
            "no",
        }


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown training method 'dpoo'; did you mean 'dpo'"):
        settings_class("dpoo")


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rounds: int = 1
    """How many."""
    lora: Lora | None = None
    """Its own."""


class Staged(Settings, frozen=True, kw_only=True):
    stage: Stage = Stage()
    """One part of it."""


def test_structures_within_structures_are_checked_and_merged_to_the_bottom() -> None:
    given = {"model": "m", "data": "d", "out": "o"}
    layers = [
        Layer({**given, "stage": {"lora": {"rank": 2}}}, "preset"),
        Layer({"stage": {"rounds": 3, "lora": {"alpha": 1}}}, "file"),
    ]
    found = assemble(Staged, layers, "train staged")
    assert isinstance(found, Staged)
    assert found.stage == Stage(rounds=3, lora=Lora(rank=2, alpha=1.0))
    with pytest.raises(UnknownName, match=r"file: unknown setting 'stage\.lora\.rnk'; did you mean 'stage\."):
        assemble(Staged, [Layer({**given, "stage": {"lora": {"rnk": 2}}}, "file")], "train staged")
