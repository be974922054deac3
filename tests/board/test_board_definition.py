"""Definitions of leaderboards: strict, and those that come with the project."""

from pathlib import Path

import pytest
from board_lab import RunLab

from eval_anything.board.definition import of_runs, read_definition
from eval_anything.board.published import installed, tables
from eval_anything.errors import UnknownName, UsageError
from eval_anything.group import Measured
from eval_anything.paired.scores import read
from eval_anything.registry import Plugins


def write(folder: Path, text: str) -> str:
    path = folder / "board.toml"
    path.write_text(text)
    return str(path)


COLUMN = '[[columns]]\ntitle = "A"\ntask = "amu"\n'


@pytest.mark.parametrize("name", ["eval_anything", "external"])
def test_the_definitions_that_come_along_name_tasks_metrics_and_groups_that_there_are(name: str) -> None:
    plugins = Plugins()
    for column in read_definition(name).columns:
        if column.group:
            assert column.group in plugins.groups.names()
            nothing = Measured(value=None)
            parts = {("amu", ""): nothing, ("amg_selection", ""): nothing}
            given = {number.name for number in plugins.groups.get(column.group)().combine(parts)}
            assert column.metric in given
        else:
            task = plugins.tasks.get(column.task)
            outline = _outline(task)
            assert not column.metric or column.metric in outline, (column.task, outline)


def test_every_number_of_table_4_has_its_column_and_every_benchmark_of_table_2() -> None:
    reported = installed()
    (table4,) = tables(reported, read_definition("eval_anything").columns)
    assert table4.source.where == "Table 4"
    assert len(table4.titles) == 14
    assert len(table4.rows) == 7 and all(None not in held for _, held in table4.rows)
    gpt = dict(table4.rows)["GPT-4o"]
    assert gpt[0] is not None and gpt[0].value == 3.92
    external = tables(reported, read_definition("external").columns)
    table2 = next(table for table in external if table.source.where == "Table 2")
    assert len(table2.titles) == 7 and table2.statuses == ("presumed",)
    assert dict(table2.rows)["LLaVA-1.5-7B, PPO + LLF"][1].value == 72.59  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no columns|missing required field"),
        ('[[columns]]\ntitle = "A"\n', "column 'A': expected either `task` or `group`"),
        ('[[columns]]\ntitle = " "\ntask = "amu"\n', "no title"),
        ('[[columns]]\ntitle = "A"\ngroup = "amg"\n', "expected `metric`"),
        (COLUMN + "scale = [3, 1]\n", "from low to high"),
        (COLUMN + COLUMN, "two columns have the title 'A'"),
        (
            COLUMN + 'weight = 1\n[[columns]]\ntitle = "B"\ntask = "amu"\nweight = 1\n',
            "one column of each task",
        ),
        ('[[columns]]\ntitle = "A"\ngroup = "amg"\nmetric = "AMG"\nweight = 1\n', "expected `scale`"),
        (COLUMN + "weight = -1\n", "weight"),
        ("columns = 3\n", "columns"),
        ("title = \n", "not TOML"),
    ],
)
def test_a_wrong_definition_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        read_definition(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('titel = "x"\n' + COLUMN, "unknown key 'titel'; did you mean 'title'"),
        (COLUMN + 'metrc = "AMU"\n', "column 0: unknown key 'metrc'; did you mean 'metric'"),
        ('rank = "a"\n' + COLUMN, "rank: unknown column 'a'; did you mean 'A'"),
    ],
)
def test_a_wrong_name_in_a_definition_is_answered_with_the_nearest(
    text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName, match=said):
        read_definition(write(tmp_path, text))


def test_a_definition_that_is_not_installed_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'external'"):
        read_definition("extrnal")
    with pytest.raises(UsageError, match="No such file"):
        read_definition(str(tmp_path / "none.toml"))


def test_without_a_definition_every_task_has_a_column(lab: RunLab) -> None:
    runs = [read(lab.run("a", "org/a", 5, ("amu", "mia"))), read(lab.run("b", "org/b", 5, ("air",)))]
    found = of_runs(runs)
    assert found.titles == ("amu", "mia", "air") and found.ranked_by == "amu"


def _outline(task: type) -> list[str]:
    from eval_anything.stats.outline import outline

    return outline(task(task.Options()).aggregation()).names  # type: ignore[attr-defined]
