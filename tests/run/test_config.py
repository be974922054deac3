from pathlib import Path

import pytest

from eval_anything.errors import UnknownName, UsageError
from eval_anything.run.config import make_config, read_config


def test_lists_may_be_given_as_text() -> None:
    config = make_config({"model": "fake/echo", "tasks": "a, b", "mask": "audio,image", "judge": "reference"})
    assert config.tasks == ("a", "b")
    assert config.mask == ("audio", "image")
    assert config.judge == {"*": "reference"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": "a"}, "no model given"),
        ({"model": "fake/echo"}, "no tasks given"),
        ({"model": "m", "tasks": "a", "limti": 3}, "unknown option 'limti'; did you mean 'limit'"),
        ({"model": "m", "tasks": "a", "mask": "audi"}, "unknown modality 'audi'; did you mean 'audio'"),
        ({"model": "m", "tasks": "a", "mask": "text"}, "cannot be masked"),
        ({"model": "m", "tasks": "a", "limit": 0}, "limit must be at least 1"),
        ({"model": "m", "tasks": "a", "repeats": 0}, "repeats must be at least 1"),
        ({"model": "m", "tasks": "a", "error_budget": 2}, "share from 0 to 1"),
        ({"model": "m", "tasks": "a,a"}, "named twice"),
        ({"model": "m", "tasks": "a", "seed": "x"}, "seed"),
        ({"model": "m", "tasks": "a", "mask": 5}, "Expected `array`, got `int`"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_config(values)


def test_yaml_is_strict(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("model: fake/echo\ntasks: [amu]\nmodel_options: {delay_s: 0.1}\n")
    assert read_config(file)["model_options"] == {"delay_s": 0.1}
    file.write_text("modle: fake/echo\n")
    with pytest.raises(UnknownName, match=r"run.yaml: unknown option 'modle'; did you mean 'model'"):
        read_config(file)
    file.write_text("a: [1\nb: 2\n")
    with pytest.raises(UsageError, match=r"run.yaml, line 2: not YAML"):
        read_config(file)
    file.write_text("- just\n- a list\n")
    with pytest.raises(UsageError, match="expected a mapping"):
        read_config(file)
    with pytest.raises(UsageError, match="No such file"):
        read_config(tmp_path / "missing.yaml")


def test_paths_may_be_paths() -> None:
    folder = Path("some") / "folder"
    config = make_config(
        {
            "model": "fake/echo",
            "tasks": ["a"],
            "data": folder,
            "include": [folder],
            "cache": folder,
            "out": folder,
        }
    )
    assert {config.data, *config.include, config.cache, config.out} == {"some/folder"}
