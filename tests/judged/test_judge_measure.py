"""Judges with known habits, in runs on disk: what is found of them."""

from pathlib import Path
from typing import Any

import pytest
from run_files import RunFiles

from eval_anything.judged.labels import Labels
from eval_anything.judged.measure import Terms, measure
from eval_anything.judged.output import render
from eval_anything.judged.statistics import Drawing
from eval_anything.judged.values import Measure, Report
from eval_anything.judged.verdicts import read_runs
from eval_anything.values import Text

TERMS = Terms(Drawing(200, 0))
LABEL = "rubric:openai/gpt-4o"


def labelled(values: dict[str, float], preferences: bool = False) -> Labels:
    labels = Labels("people", preferences)
    for sample, value in values.items():
        labels.add(None, sample, value)
    return labels


def found(report: Report, judge: str = LABEL, task: int = 0) -> dict[str, Measure]:
    one = next(one for one in report.tasks[task].judges if one.judge == judge)
    return {one.name: one for one in one.measures}


def run_of(folder: Path, plan: dict[str, Any] | None = None) -> RunFiles:
    folder.mkdir(exist_ok=True)
    files = RunFiles(folder)
    files.manifest(files.plan(**(plan or {})))
    return files


def test_agreement_bias_and_correlation_with_people(tmp_path: Path) -> None:
    files = run_of(tmp_path / "run")
    for i in range(8):
        files.scored(str(i), min(10, 2 + i + i % 2))
    files.response("unread")
    files.score("unread", None, "unparsed")
    files.save()
    labels = labelled({str(i): 2 + i for i in range(8)} | {"stranger": 3})
    report = measure(["run"], read_runs([tmp_path / "run"]), labels, TERMS)
    measures = found(report)
    assert measures["exact agreement"].value == 0.5
    assert measures["agreement within 1"].value == 1
    assert measures["judge - label"].value == 0.5
    assert measures["calibration error (ECE)"].value == pytest.approx(0.5)
    rho = measures["Spearman's rho"]
    assert rho.value is not None and rho.low is not None and rho.high is not None
    assert 0.8 < rho.low <= rho.value <= rho.high <= 1
    judge = report.tasks[0].judges[0]
    assert (judge.verdicts, judge.missing, judge.labelled) == (8, 1, 8)
    assert sum(one.n for one in judge.calibration) == 8
    assert "labels of samples without a verdict: stranger" in report.tasks[0].notes


def test_several_people_count_in_proportion(tmp_path: Path) -> None:
    files = run_of(tmp_path / "run")
    for sample in "abc":
        files.scored(sample, 5)
    labels = labelled({"a": 5, "b": 5, "c": 4})
    labels.add(None, "a", 7)
    measures = found(measure([], read_runs([files.save()]), labels, TERMS))
    assert measures["exact agreement"].value == pytest.approx((0.5 + 1 + 0) / 3)
    assert measures["judge - label"].value == pytest.approx((-1 + 0 + 1) / 3)


def test_labels_on_another_scale_are_correlated_and_not_compared(tmp_path: Path) -> None:
    files = run_of(tmp_path / "run")
    for i in range(5):
        files.scored(str(i), 2 * i + 1)
    report = measure([], read_runs([files.save()]), labelled({str(i): i / 4 for i in range(5)}), TERMS)
    assert set(found(report)) == {"Pearson's r", "Spearman's rho", "Kendall's tau-b"}
    assert found(report)["Pearson's r"].value == pytest.approx(1)
    assert "another scale" in report.tasks[0].notes[0]


def test_a_taste_for_long_answers_is_found(tmp_path: Path) -> None:
    files = run_of(tmp_path / "run")
    for i in range(6):
        files.scored(str(i), 3 + i, parts=(Text("word " * (2 ** (i + 1) - 1)),))
    report = measure([], read_runs([files.save()]), labelled({str(i): 3 for i in range(6)}), TERMS)
    bias = found(report)["length bias (judge - label, for twice the words)"]
    assert bias.value == pytest.approx(1)
    assert bias.low == pytest.approx(1)


def rated_in_both_orders(files: RunFiles, sample: str, first: tuple[int, int], last: tuple[int, int]) -> None:
    """Ratings of the answer and of the reference, where the answer was shown first and where last."""
    components = {}
    for order, ratings in (("response", first), ("reference", last)):
        for side, rating in zip(("response", "reference"), ratings, strict=True):
            components[f"{side}, {order} first"] = float(rating)
    components["reference"] = (first[1] + last[1]) / 2
    files.response(sample)
    files.score(sample, (first[0] + last[0]) / 2, components=components)


def test_whoever_is_shown_first_and_what_that_is_worth(tmp_path: Path) -> None:
    files = run_of(tmp_path / "run")
    rated_in_both_orders(files, "a", first=(8, 6), last=(5, 7))  # whoever is first wins, by 2
    rated_in_both_orders(files, "b", first=(9, 3), last=(9, 5))  # the answer wins either way
    report = measure([], read_runs([files.save()]), labelled({"a": 0.5, "b": 1}, preferences=True), TERMS)
    measures = found(report)
    assert measures["same preference in both orders"].value == 0.5
    assert measures["preference for the first (0.5: none)"].value == 0.75
    assert measures["position bias (points for being first)"].value == pytest.approx((2 + 1) / 2)
    assert measures["same preference"].value == 1
    assert measures["same preference, no ties"].n == 1
    assert "exact agreement" not in measures


def test_orders_of_two_runs_belong_together(tmp_path: Path) -> None:
    for first, ratings in (("response", (7, 4)), ("reference", (5, 6))):
        files = run_of(tmp_path / first)
        for sample in "ab":
            files.response(sample, parts=(Text("the same"),))
            details = {"replies": [{"first": first, "replies": ["..."], "reason": ""}]}
            files.score(sample, ratings[0], components={"reference": ratings[1]}, details=details)
        files.save()
    runs = [tmp_path / "response", tmp_path / "reference"]
    measures = found(measure([], read_runs(runs), None, TERMS))
    assert measures["same preference in both orders"].value == 0
    assert measures["position bias (points for being first)"].value == pytest.approx(2)


def test_repeats_agree_only_on_one_and_the_same_answer(tmp_path: Path) -> None:
    files = run_of(tmp_path / "run")
    for repeat, ratings in enumerate(((3, 8, 5), (3, 9, 7))):
        for sample, rating in zip("abc", ratings, strict=True):
            answer = f"answer {repeat}" if sample == "c" else "answer"
            files.scored(sample, rating, repeat=repeat, parts=(Text(answer),))
    report = measure([], read_runs([files.save()]), None, TERMS)
    consistency = found(report)["self-consistency"]
    assert (consistency.value, consistency.n) == (0.5, 2)
    assert found(report)["alpha of repeats, ordinal"].n == 2
    assert "1 further answer" in report.tasks[0].notes[0]


def test_judges_of_several_runs_on_the_same_answers(tmp_path: Path) -> None:
    for name, shift in (("one", 0), ("two", 0), ("three", 1)):
        files = run_of(tmp_path / name, {"judge": name, "identity": {"judge": {"name": name}}})
        for i in range(6):
            files.scored(str(i), 2 + i + shift * (i % 2), parts=(Text(f"answer {i}"),))
        files.save()
    report = measure([], read_runs([tmp_path / n for n in ("one", "two", "three")]), None, TERMS)
    assert [judge.judge for judge in report.tasks[0].judges] == ["one", "two", "three"]
    together = {m.name: m.value for m in report.tasks[0].together}
    ordinal, nominal = (together[f"alpha of all judges, {level}"] for level in ("ordinal", "nominal"))
    assert ordinal is not None and nominal is not None
    assert 0.9 < ordinal < 1
    assert nominal < ordinal


def test_the_members_of_a_panel_are_judges_of_their_own(tmp_path: Path) -> None:
    identity = {"judge": {"name": "panel", "members": [{"name": "a"}, {"name": "b"}]}}
    files = run_of(tmp_path / "run", {"judge": "panel(mean):a+b", "identity": identity})
    for i in range(5):
        files.response(str(i))
        told = [{"judge": "a", "score": 2.0 + i, "state": "scored", "replies": ["..."]}]
        told += [{"judge": "b", "score": None, "state": "unparsed", "reason": "no rating"}]
        files.score(str(i), 2 + i, judge="panel(mean):a+b", details={"members": told})
    report = measure([], read_runs([files.save()]), labelled({str(i): 2 + i for i in range(5)}), TERMS)
    counts = {one.judge: (one.verdicts, one.missing) for one in report.tasks[0].judges}
    assert counts == {"panel(mean):a+b": (5, 0), "a": (5, 0), "b": (0, 5)}
    assert found(report, "a")["exact agreement"].value == 1
    assert found(report, "b")["exact agreement"].reason == "nothing to compare"
    # The panel is made of its members: their agreement is that of two judges, of whom one said nothing.
    assert report.tasks[0].together[0].value is None


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    files = run_of(tmp_path / "run", {"judge": "evil|\x1b[31m<b>", "name": "amu"})
    files.scored("a", 5)
    files.scored("b", 6)
    report = measure([], read_runs([files.save()]), labelled({"a": 5, "b|\u202e": 1}), TERMS)
    for form in ("table", "md", "json"):
        text = render(report, form)
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<b>" not in render(report, "md").replace("\\<", "").replace("&lt;", "")
