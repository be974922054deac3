"""Every example in the README and in docs/ does what the page says.

```console blocks are run, line by line; ```python, ```yaml and ```toml blocks that begin with `# name.py`,
`# name.yaml` or `# name.toml` are files beside them;
```sh blocks show commands that need a server, a GPU or the hub: their options are checked, nothing is run.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from servers.gemini_server import GeminiServer
from servers.openai_server import OpenAIServer, in_thread

from eval_anything.cli import run as run_verb
from eval_anything.cli.main import Parser
from eval_anything.registry import Plugins
from eval_anything.run.assembly import expand
from eval_anything_train import cli as train_verb

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text()) if found == kind]


def commands(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    lines = [line.removeprefix("$ ").split("  #")[0].strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def shown(page: Path) -> list[str]:
    return [line for text in blocks(page, "console") for line in commands(text)]


def in_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """As a reader would run it, with this environment's commands."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(600)  # the page on training imports torch a dozen times
@pytest.mark.parametrize("page", [p for p in PAGES if shown(p)], ids=lambda p: p.name)
def test_commands_work(page: Path, tmp_path: Path) -> None:
    for text in (*blocks(page, "python"), *blocks(page, "yaml"), *blocks(page, "toml")):
        if name := re.match(r"# (\w+\.(py|yaml|toml))\n", text):
            (tmp_path / name.group(1)).write_text(text)
    said = "I see three red circles. Rating: [[6]]"
    with in_thread(OpenAIServer(said)) as server, in_thread(GeminiServer(said)) as gemini:
        served = {"http://localhost:8000/v1": server.url, "http://localhost:8080": gemini.url}
        for command in shown(page):
            if command.startswith("make "):
                continue  # what a fresh machine needs; .ci/run is such a machine
            for address, url in served.items():
                command = command.replace(address, url)
            done = in_shell(command, tmp_path)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")], ids=lambda p: p.name)
def test_options_of_commands_that_need_more_are_right(page: Path) -> None:
    for command in [line for text in blocks(page, "sh") for line in commands(text)]:
        words = shlex.split(command)
        if words[:2] == ["eval-anything", "run"]:
            parser = Parser(allow_abbrev=False)
            run_verb.add_arguments(parser)
            assert run_verb.config_of(parser.parse(words[2:])).tasks
        elif words[:2] == ["eval-anything", "train"] and "--config" not in words:
            parser = Parser(allow_abbrev=False)
            train_verb.add_arguments(parser)
            assert train_verb.settings_of(parser.parse(words[2:])).out


@pytest.mark.parametrize("name", [*(p.name for p in PAGES if blocks(p, "sh")), "run --help"])
def test_commands_that_need_more_name_all_the_judges_and_tools_that_they_need(name: str) -> None:
    pages = {p.name: "".join(blocks(p, "sh")) for p in PAGES}
    plugins = Plugins(())
    for command in commands(pages.get(name, run_verb.EXAMPLES)):
        words = shlex.split(command)
        if words[:2] != ["eval-anything", "run"] or {"--config", "--from"} & set(words):
            continue
        parser = Parser(allow_abbrev=False)
        run_verb.add_arguments(parser)
        config = run_verb.config_of(parser.parse(words[2:]))
        tasks = [plugins.tasks.get(task) for task in expand(plugins, config.tasks)[0]]
        own = [task.name for task in tasks if task(task.Options()).protocol_judge == config.model]
        assert config.judge or config.data != "hub" or not own, f"{command}: judges itself on {own}"
        if config.agent_options:
            wanted = {m for task in tasks for m in task.outputs if m != "text"}
            assert wanted <= set(config.agent_options), command
            for tool in wanted:
                plugins.models.get(str(config.agent_options[tool]).split("/")[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_without_a_file_name_runs(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "python"):
        if not re.match(r"# \w+\.py\n", text):
            done = in_shell(shlex.join([sys.executable, "-c", text]), tmp_path)
            assert done.returncode == 0, f"{text}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_table_of_the_task_page_is_what_the_task_gives(tmp_path: Path) -> None:
    page = ROOT / "docs" / "adding-a-task.md"
    for text in blocks(page, "python"):
        (tmp_path / text.split("\n")[0].removeprefix("# ")).write_text(text)
    said = next(text for text in blocks(page, "text") if text.startswith("colours (version 1)"))
    run = next(line for line in shown(page) if "fake/constant" in line)
    done = in_shell(f"python make_data.py && {run}", tmp_path)
    found = [line.split() for line in done.stdout.splitlines()]
    for line in said.splitlines():
        assert line.split() in found, f"{line}\n{done.stdout}\n{done.stderr}"
