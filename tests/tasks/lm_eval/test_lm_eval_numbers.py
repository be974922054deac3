from __future__ import annotations

import math

import pytest
from lm_eval_lab import CONFIGS

from eval_anything.errors import UsageError
from eval_anything.tasks.lm_eval.documents import params
from eval_anything.tasks.lm_eval.numbers import corpus, is_mean, label, name_of, plain, scale
from eval_anything.values import Params


def test_functions_are_found_by_their_names() -> None:
    from lm_eval.api.metrics import mean, perplexity, weighted_perplexity

    assert is_mean(mean) and not is_mean(perplexity)
    assert name_of(perplexity) == "lm_eval.api.metrics:perplexity"
    assert corpus(name_of(perplexity), [("t", -1.0), ("t", -3.0)]) == pytest.approx(math.exp(2))
    pairs = [("t", [-6.0, 2]), ("t", [-2.0, 2])]  # as they come back from a journal
    assert corpus(name_of(weighted_perplexity), pairs) == pytest.approx(math.exp(2))


def test_numbers_of_several_tasks_are_weighted_by_size_or_not() -> None:
    from lm_eval.api.metrics import perplexity

    items = [("a", -1.0), ("a", -1.0), ("a", -1.0), ("b", -2.0)]
    by_size, by_task = name_of(perplexity, "size"), name_of(perplexity, "task")
    assert corpus(by_size, items) == pytest.approx((3 * math.exp(1) + math.exp(2)) / 4)
    assert corpus(by_task, items) == pytest.approx((math.exp(1) + math.exp(2)) / 2)


def test_functions_beside_ones_own_files_are_found_by_their_path() -> None:
    how = f"{CONFIGS / 'tiny_utils'}:pooled"
    assert corpus(how, [("t", [1, 4]), ("t", [2, 2])]) == 0.5
    with pytest.raises(UsageError, match="cannot be had"):
        corpus(f"{CONFIGS / 'no_utils'}:pooled", [("t", [1, 4])])


def test_a_function_without_a_name_has_none() -> None:
    with pytest.raises(UsageError, match="without a name of its own"):
        name_of(lambda items: 0)


def test_what_json_holds() -> None:
    import numpy as np

    found = plain((np.float64(0.5), [np.int64(2), True], {"a": np.array([1.0, 2.0])}, "x", None))
    assert found == [0.5, [2, True], {"a": [1.0, 2.0]}, "x", None]


def test_labels_and_scales() -> None:
    assert label("acc", "none") == "acc" and label("acc", "strict") == "acc,strict"
    assert scale("acc") == (0.0, 1.0) and scale("bleu") == (0.0, 100.0) and scale("word_perplexity")[1] > 1e3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Params(temperature=0.0, max_tokens=256)),
        ({"until": "\n", "max_gen_toks": 5}, Params(temperature=0.0, max_tokens=5, stop=("\n",))),
        ({"until": ["a", ""], "max_new_tokens": "7"}, Params(temperature=0.0, max_tokens=7, stop=("a",))),
        ({"do_sample": False, "temperature": 0.7}, Params(temperature=0.0, max_tokens=256)),
        ({"temperature": 0.7, "top_p": 0.9}, Params(temperature=0.7, top_p=0.9, max_tokens=256)),
        (
            {"do_sample": True, "temperature": 1, "top_k": 5, "num_beams": 1, "min_p": 0.1},
            Params(temperature=1.0, top_k=5, max_tokens=256, extra={"min_p": 0.1}),
        ),
        ({"max_gen_toks": 3, "max_tokens": 9}, Params(temperature=0.0, max_tokens=3)),
    ],
)
def test_how_answers_are_decoded(given: dict[str, object], expected: Params) -> None:
    assert params(given) == expected


def test_what_is_given_is_left_as_it_is() -> None:
    given = {"until": ["a"], "temperature": 0.5}
    params(given)
    assert given == {"until": ["a"], "temperature": 0.5}
