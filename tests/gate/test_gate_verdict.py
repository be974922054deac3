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
