from pathlib import Path

import pytest

from eval_anything.errors import DuplicateName, UnknownName, UsageError
from eval_anything.registry import Plugins, Registry
from eval_anything.task import Task


def test_built_ins_are_found_like_any_installed_plugin() -> None:
    plugins = Plugins()
    assert "amu" in plugins.tasks.names()
    assert {"openai", "hf", "replay", "fake"} <= set(plugins.models.names())
    assert {"rubric", "reference"} <= set(plugins.judges.names())


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(UnknownName, match="unknown task 'amuu'; did you mean 'amu'"):
        Plugins().tasks.get("amuu")


def test_a_plugin_may_stand_for_many_names(tmp_path: Path, text_task: str) -> None:
    many = Path(text_task).read_text().replace('name = "text_task"', 'name = "many"')
    method = (
        "    @classmethod\n    def named(cls, rest):\n"
        '        return type(cls.__name__, (cls,), {"name": f"many:{rest}"})\n\n    def open('
    )
    (tmp_path / "many.py").write_text(many.replace("    def open(", method))
    tasks = Plugins([tmp_path / "many.py"]).tasks
    assert tasks.get("many:a:b").name == "many:a:b"
    assert tasks.get("many").name == "many"
    assert "many:a" not in tasks.names()


def test_a_plugin_that_stands_for_itself_takes_no_further_name() -> None:
    with pytest.raises(UsageError, match="task amu takes no name after it: amu:x"):
        Plugins().tasks.get("amu:x")
    with pytest.raises(UnknownName, match="unknown judge 'rubric:x'"):
        Plugins().judges.get("rubric:x")
    with pytest.raises(UnknownName, match="unknown task 'nobody:x'"):
        Plugins().tasks.get("nobody:x")


def test_included_plugins_are_found_by_their_classes(text_task: str) -> None:
    plugins = Plugins([text_task])
    assert plugins.tasks.get("text_task").title == "Numbered questions"
    assert plugins.judges.get("always_one").name == "always_one"
    assert "text_task" not in Plugins().tasks.names()  # for that run alone


def test_two_plugins_with_one_name_name_both(text_task: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text(Path(text_task).read_text())
    with pytest.raises(DuplicateName) as caught:
        Plugins([text_task, copy])
    assert text_task in str(caught.value)
    assert str(copy) in str(caught.value)


def test_an_included_task_cannot_replace_a_built_in_one(text_task: str, tmp_path: Path) -> None:
    copy = tmp_path / "amu.py"
    copy.write_text(Path(text_task).read_text().replace('name = "text_task"', 'name = "amu"'))
    with pytest.raises(DuplicateName, match="two tasks are named 'amu'"):
        Plugins([copy])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1\n", "defines no task, model, judge, agent or group"),
        ("import nonexistent_library_xyz\n", "does not import: ModuleNotFoundError"),
        ("def f(:\n", "does not import: SyntaxError"),
    ],
)
def test_a_useless_include_says_why(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "plugin.py"
    file.write_text(content)
    with pytest.raises(UsageError, match=message):
        Plugins([file])
    with pytest.raises(UsageError, match="no such file or folder"):
        Plugins([tmp_path / "missing"])


def test_what_does_not_load_or_is_of_the_wrong_kind_is_named() -> None:
    registry: Registry[Task] = Registry("task", lambda: Task)
    registry._scanned = True

    def broken() -> object:
        raise ImportError("no module named spam")

    registry.add("broken", "package a", broken)
    registry.add("wrong", "package b", lambda: dict)
    with pytest.raises(UsageError, match="task 'broken' from package a does not load: no module named spam"):
        registry.get("broken")
    with pytest.raises(UsageError, match="task 'wrong' from package b is not a Task"):
        registry.get("wrong")
