"""Presets against Tables 5 to 8 of Align Anything (arXiv 2412.15838), written down here once more."""

import pytest

from eval_anything.errors import UnknownName
from eval_anything_train import presets
from eval_anything_train.config import METHODS, Layer, assemble, settings_class

# epochs, batch size per device, learning rate, warm-up, accumulation, weight decay, longest record
FEEDBACK = {  # Table 5
    "ti2t": (3, 4, 1.0e-6, 0.03, 1, 0.0, 4096),
    "t2i": (3, 4, 1.0e-6, 0.03, 2, 0.0, 4096),
    "ti2ti": (3, 4, 1.0e-6, 0.03, 2, 0.0, 4096),
    "tv2t": (3, 3, 1.0e-7, 0.10, 1, 0.0, 4096),
    "ta2t": (3, 4, 1.0e-6, 0.03, 1, 0.0, 4096),
}
REWARD = {  # Table 6
    "ti2t": (3, 4, 1.0e-6, 0.03, 1, 0.0, 2048),
    "t2i": (3, 4, 5.0e-6, 0.03, 2, 0.0, 4096),
    "ti2ti": (3, 4, 5.0e-7, 0.03, 2, 0.0, 4096),
    "tv2t": (3, 1, 1.0e-6, 0.01, 1, 0.0, 4096),
    "ta2t": (3, 4, 1.0e-6, 0.03, 1, 0.0, 2048),
}
DPO = {  # Table 7
    "ti2t": (2, 4, 1.0e-6, 0.03, 1, 0.0, 2048),
    "t2i": (2, 4, 5.0e-7, 0.03, 2, 0.0, 4096),
    "ti2ti": (2, 2, 5.0e-7, 0.03, 2, 0.0, 4096),
    "tv2t": (2, 3, 1.0e-7, 0.10, 1, 0.0, 4096),
    "ta2t": (2, 4, 1.0e-6, 0.03, 1, 0.0, 2048),
}
# epochs, batch size, actor's and critic's learning rates, accumulation, weight decay, longest, temperature
PPO = {  # Table 8
    "ti2t": (3, 4, 1.0e-5, 5.0e-6, 1, 0.01, 2048, 1.0),
    "t2i": (3, 4, 1.0e-5, 5.0e-6, 4, 0.0, 4096, 0.2),
    "ti2ti": (3, 4, 1.0e-5, 5.0e-6, 4, 0.0, 4096, 0.2),
    "tv2t": (3, 1, 5.0e-8, 5.0e-8, 1, 0.0, 2048, 1.0),
    "ta2t": (3, 4, 1.0e-6, 5.0e-6, 1, 0.01, 2048, 1.0),
}
SHARED = ("epochs", "batch_size", "lr", "warmup", "accumulate", "weight_decay", "max_length")
ACTOR = ("epochs", "batch_size", "lr", "critic_lr", "accumulate", "weight_decay", "max_length", "temperature")
MUST = {"model": "m", "data": "d", "out": "o"}


@pytest.mark.parametrize(
    ("method", "table"), [("feedback", FEEDBACK), ("reward", REWARD), ("dpo", DPO)], ids=lambda x: str(x)[:9]
)
def test_tables_5_to_7(method: str, table: dict[str, tuple[float, ...]]) -> None:
    assert set(presets.subtasks(method)) - {"t2t"} == set(table)
    for subtask, row in table.items():
        found = presets.preset(method, subtask)
        assert tuple(found[name] for name in SHARED) == row, subtask
        assert (found["schedule"], found["dtype"]) == ("cosine", "bfloat16")
        assert found.get("beta") == (0.1 if method == "dpo" else None)
        assert found.get("regularization") == (0.001 if method == "reward" else None)


def test_table_8() -> None:
    assert set(presets.subtasks("ppo")) - {"t2t"} == set(PPO)
    for subtask, row in PPO.items():
        found = presets.preset("ppo", subtask)
        assert tuple(found[name] for name in ACTOR) == row, subtask
        assert (found["warmup"], found["critic_warmup"]) == (0.03, 0.03)
        assert (found["schedule"], found["critic_schedule"], found["dtype"]) == (
            "cosine",
            "constant",
            "bfloat16",
        )


def test_ppo_takes_what_table_8_leaves_out_from_the_released_code() -> None:
    values = {**MUST, **presets.preset("ppo", "ti2t")}
    found = assemble(settings_class("ppo"), [Layer(values, "preset")], "ppo")
    expected = {
        "kl_coeff": 0.02,
        "clip_range_ratio": 0.2,
        "clip_range_score": 50.0,
        "clip_range_value": 5.0,
        "ptx_coeff": 16.0,
        "gamma": 1.0,
        "gae_lambda": 0.95,
        "update_iters": 1,
        "betas": (0.9, 0.95),
        "max_new_tokens": 512,
        "top_p": 1.0,
    }
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("kto", {"lr": 2e-5, "beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0}),
        ("simpo", {"lr": 1e-6, "beta": 2.5, "gamma": 1.4}),
        ("orpo", {"lr": 5e-6, "odds_weight": 0.5}),
    ],
)
def test_the_released_defaults_of_methods_for_text(method: str, expected: dict[str, float]) -> None:
    assert presets.subtasks(method) == ("t2t",)
    found = presets.preset(method, "t2t")
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("scenes", "synergy")])
def test_every_preset_is_settings_of_its_method(method: str) -> None:
    """Those two have recipes."""
    assert presets.subtasks(method)
    for subtask in presets.subtasks(method):
        values = presets.preset(method, subtask)
        found = assemble(settings_class(method), [Layer({**MUST, **values}, subtask)], method)
        assert all(getattr(found, name) == value for name, value in values.items()), subtask


def test_an_unknown_subtask_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(UnknownName) as fault:
        presets.preset("dpo", "ti2x")
    assert "did you mean 'ti2t'? (known: t2i, t2t, ta2t, ti2t, ti2ti, tv2t)" in str(fault.value)
    with pytest.raises(UnknownName, match="unknown preset 'all'"):  # what rows share is no row
        presets.preset("dpo", "all")
