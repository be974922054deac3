import pytest

from eval_anything.errors import UnknownName
from eval_anything.run.task_options import TaskOptions


def test_options_that_name_a_task_win_for_it() -> None:
    options = TaskOptions("-J", {"a": 1, "b": 2, "amu:a": 3, "amg:b": 4}, ("amu", "amg", "other"))
    assert options.take("amu", ("a", "b")) == {"a": 3, "b": 2}
    assert options.take("other", ("a", "b")) == {"a": 1, "b": 2}


def test_the_last_colon_splits_task_and_option() -> None:
    options = TaskOptions("-T", {"lm_eval:ifeval:num_fewshot": 3, "a": 1}, ("lm_eval:ifeval", "amu"))
    assert options.take("lm_eval:ifeval", ("num_fewshot", "a")) == {"num_fewshot": 3, "a": 1}
    assert options.take("amu", ("a",)) == {"a": 1}
    with pytest.raises(UnknownName, match="unknown task 'lm_eval'; did you mean 'lm_eval:ifeval'"):
        TaskOptions("-T", {"lm_eval:num_fewshot": 3}, ("lm_eval:ifeval", "amu"))


def test_a_general_option_goes_to_whoever_knows_it() -> None:
    options = TaskOptions("-J", {"a": 1, "b": 2}, ("x", "y"))
    assert options.take("x", ("a",)) == {"a": 1}
    assert options.take("y", ("b",)) == {"b": 2}
    options.check()


def test_an_option_that_nobody_knows_is_named() -> None:
    options = TaskOptions("-T", {"subst": 1}, ("x",))
    options.take("x", ("subset",))
    with pytest.raises(UnknownName, match="-T: unknown option 'subst'; did you mean 'subset'"):
        options.check()
    with pytest.raises(UnknownName, match="unknown task 'amuu'; did you mean 'amu'"):
        TaskOptions("-J", {"amuu:a": 1}, ("amu",))
