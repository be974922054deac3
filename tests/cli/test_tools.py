"""The verb `tools`: generators listed, an environment that cannot be built said."""

import json

import pytest

from eval_anything.cli.main import main


def test_ls_lists_what_makes_media_and_nothing_else(capsys):
    assert main(["tools", "ls", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["synthetic"]["makes"] == ["image", "audio", "video"]
    assert rows["openai_speech"]["makes"] == ["audio"]
    assert "openai" not in rows and "hf" not in rows
    assert main(["tools", "ls"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(rows)
    assert any(line.startswith("diffusers/...") and "image, audio, video" in line for line in shown)


def test_an_included_generator_is_listed(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        '''
from eval_anything.models.base import Model

class Mine(Model):
    """Draws nothing."""

    provider = "mine"
    makes = ("image",)

    def capabilities(self): ...

    async def generate(self, request): ...
'''
    )
    assert main(["tools", "ls", "--include", str(tmp_path)]) == 0
    assert "mine/...            image                Draws nothing." in capsys.readouterr().out


def test_no_environment_is_built_over_something_else(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("precious")
    assert main(["tools", "build-audiocraft", "--dir", str(tmp_path)]) == 2
    assert "not empty, and no environment" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("action", ["build", "list"])
def test_an_action_that_is_none(action):
    with pytest.raises(SystemExit) as stop:
        main(["tools", action])
    assert stop.value.code == 2
