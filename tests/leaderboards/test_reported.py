"""The reference rows that come with the project: they load, belong to tasks, and add up where they must."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest

from eval_anything.cli.main import main
from eval_anything.leaderboards.reported import FOLDER, Published, reported
from eval_anything.registry import Plugins
from eval_anything.reported import Reported
from eval_anything.stats.outline import outline

AIR_CHAT = ("speech", "sound", "music", "mixed")
STYLES = ("anime", "concept-art", "paintings", "photo")
ASPECTS = ("correctness", "detail", "context", "temporal", "consistency")
NOT_OURS = {"align_anything_win_rate"}
"""Reported for something that is no task of the project."""


def by_model(task: str, where: str = "") -> dict[str, dict[str, float]]:
    """Model -> metric -> value, of the rows that tell no settings apart."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in reported(task):
        if not row.setting and where in row.source.where:
            found[row.model][row.metric] = row.value
    return found


def remarks(task: str, model: str, metric: str) -> str:
    return " ".join(r.remarks for r in reported(task) if (r.model, r.metric) == (model, metric))


def settings(task: str) -> dict[tuple[str, str], float]:
    return {(r.model, r.setting): r.value for r in reported(task) if r.source.where == "Table 2"}


def test_every_row_belongs_to_a_task_or_group_and_says_where_it_is_from() -> None:
    plugins = Plugins()
    rows = list(Published().results())
    known = {*plugins.tasks.names(), *plugins.groups.names(), *NOT_OURS}
    assert {row.task for row in rows} <= known
    assert {row.profile for row in rows} <= {"", "original", "align-anything"}
    assert all(row.source.title and row.source.where and row.source.url for row in rows)
    assert all(row.remarks for row in rows if row.status != "published"), "what was read into them is said"
    assert len(rows) > 500


def test_metrics_have_the_names_and_scales_that_the_tasks_give_them() -> None:
    """So that a measured number finds the reported one; the group `amg` names its own."""
    plugins = Plugins()
    for row in Published().results():
        if row.task in NOT_OURS or row.task in plugins.groups.names():
            continue
        task = plugins.tasks.get(row.task)
        shown = outline(task(task.Options()).aggregation())
        assert row.metric in shown.names, f"{row.task}: {row.metric}"
        metric = next(entry.metric for entry in shown.entries if entry.metric.name == row.metric)
        if row.high is not None and row.low is not None:
            assert row.high == shown.scale(metric)[1], f"{row.task}: {row.metric}"


def test_the_files_lie_in_the_package() -> None:
    assert {f.name for f in FOLDER.glob("*.yaml")} == {
        "air_bench.yaml",
        "align_anything.yaml",
        "hpsv2.yaml",
        "video_chatgpt.yaml",
    }


def test_table_2_has_all_seven_benchmarks_in_five_settings() -> None:
    order = ("base", "DPO", "DPO + LLF", "PPO", "PPO + LLF")
    expected = {
        ("llava_bench_coco", "LLaVA-1.5-7B"): (90.03, 88.20, 97.36, 92.67, 98.76),
        ("llava_bench_coco", "LLaVA-1.5-13B"): (90.46, 98.36, 100.33, 95.63, 100.59),
        ("mia_bench", "LLaVA-1.5-7B"): (61.15, 64.30, 65.32, 70.94, 72.59),
        ("mia_bench", "LLaVA-1.5-13B"): (70.34, 70.72, 75.43, 76.57, 80.26),
        ("image_reward", "Chameleon-7B"): (-0.80, -0.65, -0.46, -0.52, -0.44),
        ("hpsv2", "Chameleon-7B"): (25.19, 25.56, 25.62, 25.56, 25.71),
        ("interleaved_bench", "Chameleon-7B"): (1.63, 1.65, 1.70, 1.35, 1.78),
        ("video_chatgpt", "Qwen2-VL-7B"): (3.01, 3.03, 3.29, 3.02, 3.05),
        ("air_bench_chat", "Qwen2-Audio-7B"): (6.61, 6.64, 6.71, 6.49, 6.63),
    }
    for (task, model), values in expected.items():
        assert tuple(settings(task)[model, setting] for setting in order) == values
    assert {r.status for r in Published().results() if r.source.where == "Table 2"} == {"presumed"}


def test_averages_of_the_air_bench_chat_leaderboard_are_means_of_the_four() -> None:
    """The source cuts some at two decimals and rounds others; two rows do not recompute, and say so."""
    checked = 0
    for model, row in by_model("air_bench_chat", "chat leaderboard").items():
        if not set(AIR_CHAT) <= row.keys():
            continue
        mean = fmean(row[name] for name in AIR_CHAT)
        if remarks("air_bench_chat", model, "average"):
            assert abs(mean - row["average"]) > 0.03
            assert f"{mean:.2f}" in remarks("air_bench_chat", model, "average")
        else:
            assert mean == pytest.approx(row["average"], abs=0.01)
            checked += 1
    assert checked == 8


def test_averages_of_the_air_bench_foundation_leaderboard_do_not_recompute_and_say_so() -> None:
    """Of nineteen tasks: off by 0.1 to 0.9, for a reason that the source does not give."""
    rows = by_model("air_bench_foundation")
    whole = {model: row for model, row in rows.items() if "average" in row}
    assert len(whole) == 7
    for model, row in whole.items():
        mean = fmean(value for metric, value in row.items() if metric != "average")
        assert len(row) == 20
        assert f"{mean:.1f}" in remarks("air_bench_foundation", model, "average")
        assert 0.05 < abs(mean - row["average"]) < 1


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
def test_averages_of_hpsv2_are_means_of_the_four_styles(version: str) -> None:
    rows = by_model("hpsv2", version)
    assert len(rows) == 22
    for model, row in rows.items():
        assert fmean(row[style] for style in STYLES) == pytest.approx(row["HPSv2"], abs=0.011), model


def test_hpsv2_averages_that_others_know() -> None:
    v20, v21 = by_model("hpsv2", "v2.0"), by_model("hpsv2", "v2.1")
    assert (v20["SDXL Base 0.9"]["HPSv2"], v20["Stable Diffusion v1.4"]["HPSv2"]) == (27.73, 26.95)
    assert (v21["SDXL Base 0.9"]["HPSv2"], v21["Stable Diffusion v1.4"]["HPSv2"]) == (30.63, 25.35)


def test_the_mean_of_the_five_aspects_of_video_chatgpt_is_recomputed() -> None:
    rows = by_model("video_chatgpt")
    assert len(rows) == 4
    for row in rows.values():
        assert fmean(row[aspect] for aspect in ASPECTS) == pytest.approx(row["average"], abs=1e-9)
    assert {r.status for r in reported("video_chatgpt") if r.metric == "average" and not r.setting} == {
        "recomputed"
    }


def test_table_4_follows_the_formulas_of_amu_amg_and_overall() -> None:
    amu, amg = by_model("amu"), by_model("amg")
    assert len(amu) == len(amg) == 7
    for model, row in amg.items():
        four = fmean(
            amu[model][name] for name in ("perception", "reasoning", "instruction-following", "safety")
        )
        assert four == pytest.approx(amu[model]["AMU"], abs=0.01)
        t, v, a = row["text"], row["image"], row["audio"]
        tv, ta, va = row["synergy TV"], row["synergy TA"], row["synergy VA"]
        whole = row["Select"] / 2 * ((t + v) * tv + (t + a) * ta + (v + a) * va)
        assert whole == pytest.approx(row["AMG"], abs=0.01)
        assert (amu[model]["AMU"] + row["AMG"]) / 2 == pytest.approx(row["Overall"], abs=0.01)


def test_show_prints_what_is_reported_as_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "amg"]) == 0
    shown = capsys.readouterr().out
    assert "reported by others, not measured here" in shown
    assert "Align Anything (arXiv 2412.15838), Table 4 (published; scale 0 to 30)" in shown
    assert main(["show", "amu", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["reported"]
    assert {(r["metric"], r["value"]) for r in rows if r["model"] == "GPT-4o"} >= {("AMU", 3.87)}
    assert {r["status"] for r in rows} == {"published"}


PLUGIN = """
from eval_anything.reported import Reported, ReportedResults, Source

class Mine(ReportedResults):
    name = "mine"
    summary = "one number"

    def results(self):
        source = Source("My paper", "Table 9")
        return [Reported(task="amu", metric="AMU", model="m", value=9.75, status="published", source=source)]
"""


def test_anybody_may_add_reported_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    assert main(["show", "amu", "--include", str(tmp_path / "mine.py")]) == 0
    shown = capsys.readouterr().out
    assert "My paper, Table 9" in shown
    assert "9.75" in shown
    assert "Table 4" in shown, "the project's own stay"


def test_nothing_is_reported_for_an_unknown_task() -> None:
    assert reported("nonexistent") == []
    assert all(isinstance(row, Reported) for row in reported("amu"))
