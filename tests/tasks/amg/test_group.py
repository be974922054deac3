from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.openai_server import OpenAIServer, completion, in_thread

import eval_anything
from eval_anything.group import Combined, Measured
from eval_anything.judges.votes import ALPHAS
from eval_anything.results.results import build
from eval_anything.results.table import render
from eval_anything.stats.aggregate import Means
from eval_anything.stores.manifest import Manifest, TaskPlan, write_manifest
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.tasks.amg.group import AMG, Pairs, Scores, amg_per_item, amg_table4
from eval_anything.values import Message, Response, Sample, Score, Text

# perception, reasoning, instruction following, safety, AMU; Select; S_T, S_V, S_A; TV, TA, VA; AMG; Overall
TABLE_4 = {
    "LLaVA-v1.5-7B": [
        *(2.66, 2.67, 2.50, 2.90, 2.68, 0.182, 5.62, 9.47, 4.73, 0.29, 0.33, 0.66, 1.56, 2.12),
    ],
    "Qwen2-VL": [
        *(2.76, 3.07, 2.40, 4.05, 3.07, 0.177, 6.70, 9.51, 4.83, 0.52, 0.57, 0.66, 2.16, 2.62),
    ],
    "Qwen2-Audio": [
        *(3.58, 4.53, 3.40, 2.65, 3.54, 0.190, 5.93, 9.30, 4.85, 0.42, 0.46, 0.66, 1.97, 2.75),
    ],
    "Chameleon-7B": [
        *(1.44, 2.97, 2.80, 2.45, 2.41, 0.156, 4.21, 9.39, 4.66, 0.45, 0.47, 0.70, 1.57, 1.99),
    ],
    "Llama3.1-8B-Instruct": [
        *(1.05, 1.20, 1.20, 1.35, 1.20, 0.231, 7.69, 9.58, 5.15, 0.55, 0.59, 0.65, 3.08, 2.14),
    ],
    "Gemini-1.5-Pro": [
        *(5.36, 5.67, 6.70, 6.70, 6.11, 0.227, 9.45, 9.65, 6.76, 0.44, 0.47, 0.66, 3.05, 4.58),
    ],
    "GPT-4o": [
        *(2.66, 3.48, 4.20, 5.15, 3.87, 0.266, 9.51, 9.70, 6.64, 0.51, 0.56, 0.67, 3.96, 3.92),
    ],
}
COLUMNS = [
    *("perception", "reasoning", "instruction-following", "safety", "AMU", "Select", "S_T", "S_V", "S_A"),
    *("synergy TV", "synergy TA", "synergy VA", "AMG", "Overall"),
]
KEYS = [
    *(("amu", name) for name in COLUMNS[:4]),
    ("amu", ""),
    ("amg_selection", "Select"),
    *((f"amg_instruction_{name}", "") for name in ("text", "image", "audio")),
    *(("amg_synergy", pair) for pair in ("text-image", "text-audio", "image-audio")),
]
SOME = Scores(6.0, 8.0, 4.0)
SYNERGY = Pairs(0.5, 0.6, 0.7)


def measured(row: list[float]) -> dict[tuple[str, str], Measured]:
    return {key: Measured(value=value) for key, value in zip(KEYS, row, strict=False)}


def by_name(found: list[Combined]) -> dict[str, Combined]:
    return {combined.name: combined for combined in found}


@pytest.mark.parametrize("model", TABLE_4)
def test_every_row_of_the_published_table_comes_out(model: str) -> None:
    row = TABLE_4[model]
    assert amg_table4(*row[5:12]) == pytest.approx(row[12], abs=0.01)
    found = AMG().combine(measured(row))
    assert [combined.name for combined in found] == COLUMNS
    assert [combined.value for combined in found] == pytest.approx(row, abs=0.01)


def test_all_three_count_a_third_for_each_pair() -> None:
    pairs = (6 + 8) * 0.5, (6 + 4) * 0.6, (8 + 4) * 0.7
    assert amg_per_item([("ti", 0.4)], SOME, SYNERGY) == pytest.approx(0.4 * pairs[0] / 2)
    assert amg_per_item([("tia", 0.3)], SOME, SYNERGY) == pytest.approx(0.1 * sum(pairs) / 2)
    assert amg_per_item([("t", 0.9), ("v", 0.5)], SOME, SYNERGY) == 0
    both = amg_per_item([("ti", 0.4), ("tia", 0.3)], SOME, SYNERGY)
    assert both == pytest.approx((0.4 * pairs[0] + 0.1 * sum(pairs)) / 4)


def test_at_its_best_amg_is_thirty() -> None:
    assert amg_table4(1.0, 10.0, 10.0, 10.0, 1.0, 1.0, 1.0) == 30


CHOSEN = st.lists(
    st.tuples(st.sampled_from(["t", "i", "a", "ta", "ti", "ia", "tia", "tv"]), st.floats(0, 1)), min_size=1
)


@given(CHOSEN)
def test_the_mean_over_items_is_the_formula_of_the_mean_alphas(chosen: list[tuple[str, float]]) -> None:
    from eval_anything.judges.votes import alphas

    metrics = measured(TABLE_4["GPT-4o"])
    for name in ALPHAS:
        mean = sum(alphas(*item)[name] for item in chosen) / len(chosen)
        metrics["amg_selection", name] = Measured(value=mean)
    found = by_name(AMG().combine(metrics))["AMG (per item)"]
    row = TABLE_4["GPT-4o"]
    assert found.value == pytest.approx(amg_per_item(chosen, Scores(*row[6:9]), Pairs(*row[9:12])))


def test_nothing_of_amg_was_run() -> None:
    assert AMG().combine({}) == []
    assert AMG().combine({("amu", ""): Measured(value=3.0)}) == []


def test_what_was_not_run_or_has_no_value_is_said() -> None:
    metrics = measured(TABLE_4["GPT-4o"])
    metrics["amg_instruction_audio", ""] = Measured(value=None, reason="nothing scored of 3: 3 judge_error")
    found = by_name(AMG().combine({k: v for k, v in metrics.items() if k[0] not in ("amu", "amg_synergy")}))
    assert list(found) == [name for name in COLUMNS if name not in COLUMNS[:5]]
    assert found["S_A"].reason == "nothing scored of 3: 3 judge_error"
    assert found["synergy TV"].reason == "amg_synergy was not run"
    assert found["AMG"].value is None
    assert found["AMG"].reason == "no S_A, synergy TV, synergy TA, synergy VA"
    assert found["Overall"].reason == "no AMU, S_A, synergy TV, synergy TA, synergy VA"
    assert found["S_T"].value == 9.51


def test_vision_is_video_only_where_there_are_no_images() -> None:
    metrics = measured(TABLE_4["GPT-4o"])
    metrics["amg_instruction_video", ""] = Measured(value=1.0)
    assert by_name(AMG().combine(metrics))["S_V"].value == 9.70
    del metrics["amg_instruction_image", ""]
    assert by_name(AMG().combine(metrics))["S_V"].value == 1.0


def test_draws_go_through_the_formula_and_one_without_draws_takes_the_interval() -> None:
    rng = np.random.default_rng(0)
    row = TABLE_4["GPT-4o"]
    metrics = {
        key: Measured(value=value, draws=value + rng.normal(0, 0.01, 500))
        for key, value in zip(KEYS, row, strict=False)
    }
    found = by_name(AMG().combine(metrics))
    draws = found["AMG"].draws
    assert draws is not None and draws.shape == (500,)
    assert draws.mean() == pytest.approx(found["AMG"].value, abs=0.02)
    assert draws[7] == pytest.approx(amg_table4(*(metrics[key].draws[7] for key in KEYS[5:])))  # type: ignore[index]
    overall = found["Overall"].draws
    assert overall is not None and overall.std() > 0
    metrics["amg_synergy", "text-image"] = Measured(value=0.5)
    found = by_name(AMG().combine(metrics))
    assert found["AMG"].draws is None and found["AMG"].value is not None
    assert found["synergy TA"].draws is not None


def write_run(folder: Path, tasks: dict[str, tuple[Means, list[Score]]], groups: tuple[str, ...]) -> Path:
    folder.mkdir(parents=True)
    plans = [
        TaskPlan(
            name=name,
            version="1",
            fingerprint="f",
            data="path",
            revision="r",
            planned=len(scores),
            aggregation=means,
            judge="j",
            protocol_judge=True,
        )
        for name, (means, scores) in tasks.items()
    ]
    manifest = Manifest(
        created="now", model="m", tasks=tuple(plans), config={}, versions={}, seed=3, groups=groups
    )
    write_manifest(folder / "manifest.json", manifest)
    with (folder / "journal.jsonl").open("wb") as file:
        for name, (_, scores) in tasks.items():
            for i, score in enumerate(scores):
                sample = Sample(id=f"s{i}", messages=(Message("user", (Text("q"),)),))
                common: dict[str, Any] = {
                    "task": name, "id": sample.id, "repeat": 0, "fingerprint": "f", "time": 1.0
                }  # fmt: skip
                response = Response(parts=(Text("x"),))
                for row in (
                    ResponseRow(**common, sample=sample, response=response), ScoreRow(**common, score=score)
                ):  # fmt: skip
                    file.write(msgspec.json.encode(row) + b"\n")
    return folder


def scores(values: list[float], components: tuple[str, ...] = ()) -> list[Score]:
    return [
        Score(
            value=value,
            state="scored",
            judge="j",
            components={name: value / (i + 1) for i, name in enumerate(components)},
        )
        for value in values
    ]


def test_a_whole_run_ends_in_a_block_of_combined_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pairs = ("text-image", "text-audio", "image-audio")
    tasks = {
        **{
            f"amg_instruction_{m}": (Means(overall=m, high=10), scores(rng.uniform(3, 9, 40).tolist()))
            for m in ("text", "image", "audio")
        },
        "amg_selection": (
            Means(overall="Select", components=ALPHAS),
            scores(rng.uniform(0, 0.5, 40).tolist(), (*ALPHAS, "share of the choices/t")),
        ),
        "amg_synergy": (
            Means(overall="synergy", components=pairs),
            scores(rng.uniform(0, 1, 40).tolist(), pairs),
        ),
    }
    results = build(write_run(tmp_path / "run", tasks, ("amg", "nonesuch")))
    found = {combined.name: combined for combined in results.combined}
    assert list(found) == [*COLUMNS[5:13], "AMG (per item)", "Overall"]
    values = [found[name].value for name in COLUMNS[5:12]]
    assert found["AMG"].value == pytest.approx(amg_table4(*values))
    for name in ("Select", "synergy TA", "AMG", "AMG (per item)"):
        combined = found[name]
        assert combined.low is not None and combined.value is not None and combined.high is not None
        assert combined.low < combined.value < combined.high
    assert found["Overall"].reason == "no AMU"
    # The very interval of the metric that a column shows.
    (selection,) = [task for task in results.tasks if task.name == "amg_selection"]
    assert found["Select"].low == pytest.approx(selection.headline.low)
    told = "no combined numbers of group 'nonesuch': unknown group 'nonesuch' (known: amg, external)"
    assert results.notes == [told]
    for format in ("table", "md", "latex", "html", "csv", "json"):
        assert "AMG (per item)" in render(results, format)  # type: ignore[arg-type]
    text = render(results, "table")
    assert text.index("amg_synergy") < text.index("amg (group of tasks)")
    assert "Overall: no value: no AMU" in text
    rows = [row for row in results.rows() if row["task"] == "amg"]
    assert [row["metric"] for row in rows] == list(found)
    assert rows[-1]["reason"] == "no AMU"


def test_one_command_gives_every_column_and_the_overall_score(tmp_path: Path) -> None:
    """An agent that asks its tools for what it was told, and says it too, on the twins of AMU and AMG."""

    def in_every_slot(call: Any) -> Any:
        asked = call.body["messages"][-1]["content"]
        text = asked if isinstance(asked, str) else asked[-1]["text"]
        slots = ["response", "image_instruction", "audio_instruction"]
        slots += ["video_instruction"] if b"video_instruction" in call.raw else []
        return completion("\n".join(f"[[{slot}]]: {text}" for slot in slots))

    with in_thread(OpenAIServer(in_every_slot)) as server:
        results = eval_anything.evaluate(
            model="openai/agent",
            model_options={"base_url": server.url},
            tasks=["amu", "amg"],
            data="synthetic:n=12,seed=1",
            agent="text-protocol",
            judge={"amg_synergy": "scene"},
            out=tmp_path / "run",
        )
    found = {combined.name: combined for combined in results.combined}
    assert list(found) == [*COLUMNS[:13], "AMG (per item)", "Overall"]
    values = {name: combined.value for name, combined in found.items()}
    assert values["S_T"] == values["S_V"] == values["S_A"] == 10
    assert values["synergy TV"] == values["synergy TA"] == values["synergy VA"] == 1
    # It always chooses all three: a third of the votes for that goes to each pair.
    assert values["AMG"] == pytest.approx(30 * values["Select"])
    assert values["AMG (per item)"] == pytest.approx(10 * values["Select"])
    assert values["Overall"] == pytest.approx((values["AMU"] + values["AMG"]) / 2)
    assert found["AMG"].low is not None and found["AMG"].high is not None
    (selection,) = [task for task in results.tasks if task.name == "amg_selection"]
    assert selection.figures["share of the choices/tia"] == 1
    assert selection.figures["regret"] > 0
    text = str(results)
    assert "mean share of the choices: t 0.00" in text
    assert "made of numbers that are not comparable with published ones" in text
