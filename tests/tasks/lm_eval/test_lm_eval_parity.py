"""The same checkpoint through lm-evaluation-harness's own evaluator and through ours: the same numbers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from lm_eval_lab import Lab

TASKS = ("tiny_gen", "tiny_prefix", "tiny_overlap", "tiny_choice", "tiny_choice_more", "tiny_last")
ALONE = ("tiny_votes", "tiny_bleu", "tiny_texts", *(("tiny_ifeval",) if find_spec("langdetect") else ()))
"""Where examples and templates change nothing that the others do not show."""
GROUPS = ("tiny_sized", "tiny_perplexities")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


def measured(lab: Lab, *names: str, **task_options: Any) -> dict[str, dict[str, Any]]:
    """Our metrics, by task and name."""
    found = lab.ours(*names, task_options=task_options)
    return {task.name.removeprefix("lm_eval:"): {m.name: m for m in task.metrics} for task in found}


def stated(theirs: dict[str, Any]) -> dict[str, float]:
    """Their metrics, under the names that we give them."""
    found = {key: value for key, value in theirs.items() if "," in key and "_stderr" not in key}
    return {key.removesuffix(",none"): value for key, value in found.items()}


def compare(
    theirs: dict[str, dict[str, Any]], ours: dict[str, dict[str, Any]], names: tuple[str, ...]
) -> None:
    for name in names:
        expected = stated(theirs[name])
        assert set(expected) == set(ours[name])
        for metric, value in expected.items():
            assert ours[name][metric].value == pytest.approx(value, rel=1e-6, abs=1e-6), (name, metric)


def test_without_examples(lab: Lab) -> None:
    names = (*TASKS, *ALONE)
    theirs, ours = lab.theirs(*names), measured(lab, *names)
    compare(theirs, ours, names)
    # Numbers that a test could not tell apart would show nothing.
    assert len({round(m.value, 6) for task in ours.values() for m in task.values()}) > 12
    assert ours["tiny_last"]["perplexity"].low < ours["tiny_last"]["perplexity"].value
    assert not ours["tiny_last"]["perplexity"].higher_is_better and ours["tiny_last"]["acc"].higher_is_better


def test_with_examples(lab: Lab) -> None:
    theirs = lab.theirs(*TASKS, num_fewshot=3)
    compare(theirs, measured(lab, *TASKS, num_fewshot=3), TASKS)


@pytest.mark.parametrize(("multiturn", "names"), [(True, TASKS), (False, ("tiny_prefix", "tiny_choice"))])
def test_through_the_chat_template(lab: Lab, multiturn: bool, names: tuple[str, ...]) -> None:
    how = {"apply_chat_template": True, "fewshot_as_multiturn": multiturn, "system_instruction": "Be brief."}
    theirs = lab.theirs(*names, num_fewshot=2, **how)
    compare(theirs, measured(lab, *names, num_fewshot=2, **how), names)


def test_groups_are_put_together_as_they_say(lab: Lab) -> None:
    theirs = lab.theirs(*GROUPS)
    ours = measured(lab, *GROUPS)
    sized, inner = stated(theirs["tiny_sized"]), stated(theirs["tiny_inner"])
    found = ours["tiny_sized"]
    assert next(iter(found)) == "acc"
    assert found["acc"].value == pytest.approx(sized["acc"], abs=1e-9)
    assert found["tiny_sized acc_norm"].value == pytest.approx(sized["acc_norm"], abs=1e-9)
    assert found["tiny_inner acc"].value == pytest.approx(inner["acc"], abs=1e-9)
    for task in ("tiny_choice", "tiny_second", "tiny_third"):
        assert found[task].value == pytest.approx(stated(theirs[task])["acc"], abs=1e-9)
        assert found[f"{task} acc_norm"].value == pytest.approx(stated(theirs[task])["acc_norm"], abs=1e-9)
    assert found["acc"].value != pytest.approx(
        sum(found[t].value for t in ("tiny_choice", "tiny_inner acc")) / 2
    )
    pooled, expected = ours["tiny_perplexities"], stated(theirs["tiny_perplexities"])
    assert pooled["perplexity"].value == pytest.approx(expected["perplexity"], rel=1e-6)
    assert pooled["tiny_perplexities acc"].value == pytest.approx(expected["acc"], abs=1e-9)
