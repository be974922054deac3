"""Pass, regression, cannot judge: each rule of the policy, and the exit codes of the verb."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from run_files import RunFiles

from eval_anything.cli.main import main
from eval_anything.errors import UnknownName, UsageError
from eval_anything.gate.policy import Policy, Rules, read_policy
from eval_anything.gate.verdict import Verdict, judge
from eval_anything.paired.scores import read
from eval_anything.values import Fault, Usage

N = 200
MORE = Usage(requests=1, output_tokens=9)
HARD = np.random.default_rng(0).normal(5, 1, N)


def run(folder: Path, shift: float = 0.0, noise: int = 1, model: str = "m/base", **changes: Any) -> Path:
    """`shift`: of the true quality; `changes` to the plan; `broken`, `cut`, `unparsed`: how many are so."""
    broken, cut, unparsed = (changes.pop(name, 0) for name in ("broken", "cut", "unparsed"))
    usage = changes.pop("usage", Usage(requests=1, output_tokens=5))
    folder.mkdir()
    files = RunFiles(folder)
    files.manifest(files.plan(**{"planned": N, **changes}), model=model)
    values = HARD + shift + np.random.default_rng(noise).normal(0, 0.5, N)
    for i, value in enumerate(values.tolist()):
        name = f"s{i:03}"
        if i < broken:
            files.response(name, state="error", fault=Fault("server", "500"))
            continue
        files.response(name, state="truncated" if i < broken + cut else "ok", usage=usage)
        bad = i < unparsed
        files.score(name, None if bad else value, "unparsed" if bad else "scored")
    return files.save()


def verdict(one: Path, other: Path, rules: Rules | None = None, **policy: Any) -> Verdict:
    whole = Policy(resamples=2000, defaults=rules or Rules(), **policy)
    return judge(read(one), read(other), whole)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return run(tmp_path / "base")


@pytest.mark.parametrize(
    ("shift", "rules", "outcome"),
    [
        (0.0, Rules(), "pass"),
        (1.0, Rules(), "pass"),
        (-0.4, Rules(), "regression"),
        (-0.4, Rules(tolerated_drop=0.5), "pass"),
        (-0.8, Rules(tolerated_drop=0.5), "regression"),
        (0.0, Rules(floor=4.0), "pass"),
        (0.0, Rules(floor=6.0), "regression"),
        (0.0, Rules(detectable=0.5), "pass"),
        (0.0, Rules(detectable=0.01), "cannot judge"),
        (-0.4, Rules(detectable=0.01), "regression"),
    ],
)
def test_drops_floors_and_effects(
    shift: float, rules: Rules, outcome: str, base: Path, tmp_path: Path
) -> None:
    found = verdict(base, run(tmp_path / "new", shift, 2), rules)
    assert found.outcome == outcome, found.tasks[0].reasons
    assert found.exit_code == {"pass": 0, "regression": 1, "cannot judge": 3}[outcome]


@pytest.mark.parametrize(
    ("changes", "rules", "outcome", "said"),
    [
        ({"broken": 20}, Rules(), "cannot judge", "answers that failed: 20 of 200"),
        ({"broken": 20}, Rules(max_error_rate=0.2), "pass", ""),
        ({"unparsed": 30}, Rules(), "cannot judge", "answers without a score: 30 of 200"),
        ({"unparsed": 15}, Rules(), "cannot judge", "verdicts not given: 15 of 200"),
        ({"cut": 50}, Rules(max_truncation_rate=0.1), "regression", "answers cut at the limit: 50 of 200"),
        ({"cut": 50}, Rules(), "pass", ""),
        ({"planned": 400}, Rules(max_missing_rate=1), "cannot judge", "unfinished: 200 of 400"),
        ({"usage": Usage()}, Rules(), "cannot judge", "the model was never asked"),
        ({"usage": Usage()}, Rules(allow_no_calls=True), "pass", ""),
        (
            {"usage": Usage(requests=1, output_tokens=9)},
            Rules(max_cost_growth=0.5),
            "regression",
            "output tokens grew by 80%",
        ),
        ({"usage": Usage(requests=1, output_tokens=9)}, Rules(max_cost_growth=0.9), "pass", ""),
        ({"identity": {"judge": "other"}}, Rules(), "cannot judge", "not measured alike: judge"),
    ],
)
def test_what_makes_numbers_doubtful(
    changes: dict[str, Any], rules: Rules, outcome: str, said: str, base: Path, tmp_path: Path
) -> None:
    found = verdict(base, run(tmp_path / "new", 0.0, 2, **changes), rules)
    assert found.outcome == outcome, found.tasks[0].reasons
    assert said in "; ".join(found.tasks[0].reasons)


def test_a_drop_between_runs_that_were_not_measured_alike_is_no_regression(
    base: Path, tmp_path: Path
) -> None:
    other = run(tmp_path / "new", -2.0, 2, identity={"judge": {"options": {"base_url": "x"}}})
    assert verdict(base, other).outcome == "cannot judge"
    assert verdict(base, other, ignore_settings=("judge",)).outcome == "regression"


def test_lower_is_better(base: Path, tmp_path: Path) -> None:
    from eval_anything.stats.aggregate import Means

    means = Means(overall="error rate", low=0, high=10, higher_is_better=False)
    one = run(tmp_path / "one", aggregation=means)
    assert verdict(one, run(tmp_path / "more", 0.5, 2, aggregation=means)).outcome == "regression"
    assert verdict(one, run(tmp_path / "less", -0.5, 2, aggregation=means)).outcome == "pass"
    worse = verdict(one, run(tmp_path / "same", 0.0, 2, aggregation=means), Rules(floor=4.0))
    assert "above the floor" in worse.tasks[0].reasons[0]


def test_policies_are_strict(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text("alpha = 0.01\n[defaults]\ntolerated_drop = 0.1\n[tasks.amu]\nfloor = 3\n")
    policy = read_policy(path)
    assert (policy.alpha, policy.rules("amu")) == (0.01, Rules(tolerated_drop=0.1, floor=3))
    assert policy.rules("other") == Rules(tolerated_drop=0.1)
    for text, said in (
        ("alhpa = 1", "unknown rule 'alhpa'; did you mean 'alpha'"),
        ("[defaults]\ntolerated = 1", "defaults: unknown rule 'tolerated'; did you mean 'tolerated_drop'"),
        ("[tasks.amu]\nflor = 1", "tasks.amu: unknown rule 'flor'; did you mean 'floor'"),
    ):
        path.write_text(text)
        with pytest.raises(UnknownName, match=said):
            read_policy(path)
    for text, said in (
        ("alpha = 2", "alpha"),
        ("alpha =", "not TOML"),
        ("defaults = 3", "expected a table"),
        ('[defaults]\nfloor = "a"', "floor"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            read_policy(path)
    with pytest.raises(UsageError, match="No such file"):
        read_policy(tmp_path / "nowhere.toml")


def test_tasks_and_metrics_that_are_not_there_are_named(base: Path) -> None:
    with pytest.raises(UsageError, match=r"tasks\.amo: unknown task 'amo'; did you mean 'amu'"):
        verdict(base, base, tasks={"amo": Rules()})
    with pytest.raises(UsageError, match=r"unknown metric 'AMO'; did you mean 'AMU'"):
        verdict(base, base, Rules(metric="AMO"))


def test_the_verb(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = run(tmp_path / "worse", -1.0, 2, "m/new")
    baseline, junit, summary = (tmp_path / name for name in ("baseline.json", "gate.xml", "summary.md"))
    assert main(["gate", "--candidate", str(base), "--save-baseline", str(baseline)]) == 0
    assert main(["gate", "--baseline", str(baseline), "--candidate", str(base)]) == 0
    capsys.readouterr()
    files = ["--junit", str(junit), "--markdown", str(summary)]
    again = tmp_path / "again.json"
    arguments = ["gate", "--baseline", str(baseline), "--candidate", str(worse), *files]
    assert main([*arguments, "--save-baseline", str(again)]) == 1
    assert "verdict: REGRESSION" in capsys.readouterr().out
    assert not again.exists(), "what does not pass is no baseline"
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    assert summary.read_text().startswith("## Gate: REGRESSION\n")
    assert main([*arguments, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["outcome"] == "regression"
    assert main(["gate", "--candidate", str(base)]) == 2
    assert main(["gate", "--baseline", str(tmp_path / "nowhere"), "--candidate", str(base)]) == 2
    assert main(["compare", str(baseline), str(worse), "--format", "md"]) == 0
    assert "| AMU" in capsys.readouterr().out
    assert main(["compare", str(base), str(worse), "--resamples", "5"]) == 2


def fewer(folder: Path, n: int, shift: float = 0.0) -> Path:
    """A run of the first `n` samples alone."""
    folder.mkdir()
    files = RunFiles(folder)
    files.manifest(files.plan(planned=n))
    for i, value in enumerate((HARD + shift)[:n].tolist()):
        files.response(f"s{i:03}", usage=Usage(requests=1))
        files.score(f"s{i:03}", value)
    return files.save()


def test_too_few_samples_for_any_alarm_pass_nothing(tmp_path: Path) -> None:
    found = verdict(fewer(tmp_path / "a", 4), fewer(tmp_path / "b", 4, -3.0))
    assert found.outcome == "cannot judge"
    assert "4 independent samples: no drop could be significant" in found.tasks[0].reasons
    assert verdict(fewer(tmp_path / "c", 5), fewer(tmp_path / "d", 5, -3.0)).outcome == "regression"


def test_a_candidate_that_answers_half_is_not_judged_on_the_other_half(base: Path, tmp_path: Path) -> None:
    half = fewer(tmp_path / "half", N // 2)
    found = verdict(base, half)
    assert found.outcome == "cannot judge"
    assert "answers of the baseline without a scored partner: 100 of 200" in found.tasks[0].reasons[0]
    assert "100 answers only in the baseline: in no difference" in found.tasks[0].reasons


def test_a_floor_is_held_against_the_candidates_own_number(base: Path, tmp_path: Path) -> None:
    baseline, whole = fewer(tmp_path / "few", 20), run(tmp_path / "whole", 0.0, 2)
    own = next(m.value for m in read(whole).results.tasks[0].metrics)
    paired = verdict(baseline, whole).tasks[0].change.after
    assert own is not None and paired is not None and own != paired
    between = Rules(floor=(own + paired) / 2)
    assert (verdict(baseline, whole, between).outcome == "regression") == (own < paired)


def test_a_tolerated_drop_widens_what_can_be_found(base: Path, tmp_path: Path) -> None:
    same = run(tmp_path / "same", 0.0, 2)
    strict, tolerant = (verdict(base, same, Rules(tolerated_drop=t)).tasks[0] for t in (0.0, 0.5))
    assert strict.detectable is not None and tolerant.detectable is not None
    assert tolerant.detectable > strict.detectable + 0.5


def test_equal_runs_pass_and_promise_nothing(base: Path) -> None:
    found = verdict(base, base)
    assert (found.outcome, found.tasks[0].detectable) == ("pass", None)


@pytest.mark.parametrize("rule", ["floor = nan", "max_cost_growth = nan", "tolerated_drop = inf"])
def test_rules_are_numbers(rule: str, tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(f"[defaults]\n{rule}\n")
    with pytest.raises(UsageError, match=r"gate\.toml"):
        read_policy(path)


def test_damaged_baselines_and_unsound_ones_are_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "baseline.json"
    assert main(["gate", "--candidate", str(base), "--save-baseline", str(saved)]) == 0
    whole = json.loads(saved.read_text())
    for damage in ("tasks", "value"):
        edited = json.loads(saved.read_text())
        if damage == "tasks":
            edited["results"]["tasks"] = []
        else:
            edited["tasks"][0]["verdicts"][3]["value"] = 9.5
        bad = tmp_path / f"{damage}.json"
        bad.write_text(json.dumps(edited))
        capsys.readouterr()
        assert main(["gate", "--baseline", str(bad), "--candidate", str(base)]) == 2
        assert "damaged, or changed by hand" in capsys.readouterr().err
    assert whole["format"] == 1
    unfinished = run(tmp_path / "unfinished", planned=400)
    assert main(["gate", "--candidate", str(unfinished), "--save-baseline", str(tmp_path / "no.json")]) == 3
    assert not (tmp_path / "no.json").exists()


def test_files_that_cannot_be_written_are_said_before_judging(base: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere" / "x.xml")
    worse = run(tmp_path / "worse", -1.0, 2)
    arguments = ["gate", "--baseline", str(base), "--candidate", str(worse)]
    assert main([*arguments, "--junit", nowhere]) == 2
    assert main([*arguments, "--junit", str(tmp_path)]) == 1, "a folder: not written, and still a regression"
