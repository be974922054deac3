"""The package as others install it, and the rule of imports: content imports the engine, not the reverse."""

import ast
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTENT = ("tasks", "judges", "agents", "leaderboards")


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_the_engine_never_imports_content() -> None:
    for file in (ROOT / "eval_anything").rglob("*.py"):
        for name in imports(file):
            assert name.split(".")[:2] not in [["eval_anything", part] for part in CONTENT], f"{file}: {name}"


FLOORS = (
    *(
        "errors",
        "values",
        "stats",
        "media",
        "models",
        "stores",
        "results",
        "paired",
        "gate",
        "report",
        "board",
    ),
    *("run", "judged", "watch", "cli"),
)
"""From the ground up; a module may import from its own floor and below."""
NAMED_ABOVE = {
    ("models", "judge"): "the form of a judge stands on the form of a model",
}


def test_floors() -> None:
    """Nothing imports from a floor above its own (imports for type checking alone do not count)."""
    for file in (ROOT / "eval_anything").rglob("*.py"):
        floor = file.relative_to(ROOT / "eval_anything").parts[0].removesuffix(".py")
        if floor not in FLOORS:
            continue
        tree = ast.parse(file.read_text())
        hidden = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and id(node) not in hidden:
                target = node.module.split(".")
                if target[0] == "eval_anything" and len(target) > 1 and target[1] in FLOORS:
                    above = FLOORS.index(target[1]) > FLOORS.index(floor)
                    assert not above, f"{file.relative_to(ROOT)} imports {node.module}"


def test_core_dependencies_are_few_and_light() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">")[0] for requirement in project["dependencies"]}
    assert len(names) <= 10
    assert not names & {"torch", "transformers", "datasets", "openai"}
    assert {"hf", "vllm", "gemini", "lm-eval", "diffusers", "audio", "report", "dev", "all"} <= set(
        project["optional-dependencies"]
    )


def test_every_module_is_in_the_list_of_packages() -> None:
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    for folder in ("eval_anything", *CONTENT):
        for file in (ROOT / folder).rglob("*.py"):
            path = file.parent.relative_to(ROOT).parts
            name = ".".join(path if path[0] == "eval_anything" else ("eval_anything", *path))
            assert name in packages, f"{name} is missing from [tool.setuptools] packages"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in files.stdout.decode().splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "bench/", "plugins/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_code_prompts_cards_and_the_typing_marker(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "eval_anything/py.typed" in names
    assert "eval_anything/tasks/amu/task.py" in names
    assert "eval_anything/tasks/amu/README.md" in names
    assert {f"eval_anything/tasks/amu/judge/{p.name}" for p in (ROOT / "tasks/amu/judge").iterdir()} <= names
    assert "eval_anything/tasks/mia_bench/judge/protocol.yaml" in names
    assert not any(name.startswith(("tests/", "tasks/", "bench/", "plugins/")) for name in names)


def test_the_wheel_installs_and_lists_tasks_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """An environment of its own, by pip, without network: what listing and showing need (msgspec, yaml,
    tabulate) is lent to it."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    import msgspec
    import tabulate
    import yaml

    site = next((tmp_path / "env").rglob("site-packages"))
    for library in (msgspec, tabulate, yaml):
        assert library.__file__ is not None
        file = Path(library.__file__)
        held = file.parent if file.name == "__init__.py" else file
        (site / held.name).symlink_to(held)
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def output(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    command = str(tmp_path / "env" / "bin" / "eval-anything")
    assert "amu" in output(command, "ls", "tasks")
    assert "system prompt" in output(command, "show", "amu").lower()
    assert "amu" in output(str(python), "-m", "eval_anything", "ls", "tasks")
    assert str(site) in output(str(python), "-c", "import eval_anything; print(eval_anything.__file__)")
