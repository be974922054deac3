from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from lm_eval_lab import write_tasks

from eval_anything.errors import DataError, UnknownName
from eval_anything.tasks.lm_eval.names import folders_of

PACKAGE = Path(str(find_spec("lm_eval").origin)).parent / "tasks"


def below(name: str, *more: Path) -> list[str]:
    return [str(folder.relative_to(PACKAGE)) for folder in folders_of(name, [PACKAGE, *more])]


def test_a_task_is_found_where_it_is_defined() -> None:
    assert below("ifeval") == ["ifeval"]
    assert below("hellaswag") == ["hellaswag"]


def test_groups_and_tags_bring_what_they_are_made_of() -> None:
    assert below("mmlu") == ["mmlu/default"]
    assert below("ai2_arc") == ["arc"]
    # The tasks of this tag lie in eight folders; a manager that reads those one by one has the last alone.
    assert below("glue") == ["glue"]
    assert "benchmarks" in " ".join(below("openllm"))


def test_one_manager_over_these_folders_knows_every_task_of_a_group() -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=[str(f) for f in folders_of("mmlu", [PACKAGE])], include_defaults=False
    )
    known = set(manager.all_subtasks)
    subjects = [name for name in known if name.startswith("mmlu_")]
    assert {"mmlu_abstract_algebra", "mmlu_world_religions"} <= known and len(subjects) >= 57


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(
        UnknownName, match=r"unknown task of lm-evaluation-harness 'ifevall'.*did you mean 'ifeval"
    ):
        folders_of("ifevall", [PACKAGE])


def test_a_folder_of_ones_own_is_looked_into_and_read_last(tmp_path: Path) -> None:
    own = write_tasks(tmp_path / "own")
    assert folders_of("tiny_sized", [PACKAGE, own]) == [own]
    assert folders_of("tiny_tag", [PACKAGE, own]) == [own]
    with pytest.raises(DataError, match="no such folder"):
        folders_of("tiny_gen", [PACKAGE, tmp_path / "none"])


def test_a_broken_file_is_named_where_it_is_the_one_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("task: broken_one\ndoc_to_text: [1\n")
    (tmp_path / "b.yaml").write_text("task: whole_one\ndoc_to_text: not broken_one\n")
    with pytest.raises(DataError, match=r"a\.yaml: cannot be read"):
        folders_of("broken_one", [PACKAGE, tmp_path])
    assert folders_of("whole_one", [PACKAGE, tmp_path]) == [tmp_path]
