"""Protocols as data: profiles, quirks, what is shown of them, and what is wrong with a file."""

import sys
from pathlib import Path
from typing import Any

import pytest

from eval_anything import protocol
from eval_anything.errors import DataError, UsageError
from eval_anything.judge import PairRubric, Rubric
from eval_anything.options import parse
from eval_anything.protocol import PROFILES, ProtocolTask
from eval_anything.registry import Plugins
from eval_anything.values import Params

GOOD = """
shape: pair
model: openai/old-judge
params: {temperature: 0.2, max_tokens: 64}
scale: [1, 10]
attempts: 3
profiles:
  original: {attempts: 1, parse: llava, unparsed: -1, quirks: [minus-one]}
  align-anything:
    {model: openai/new-judge, params: {temperature: 0.0}, order: [response, reference], swap: true}
differences:
  minus-one: "Published: a reply without two numbers counts as -1. Corrected: it is left out and counted."
  fences: "In all profiles answers stand between markers."
"""


def folder(tmp_path: Path, text: str = GOOD) -> Path:
    (tmp_path / "judge").mkdir(exist_ok=True)
    (tmp_path / "judge" / "protocol.yaml").write_text(text)
    return tmp_path / "judge"


def test_a_profile_is_what_differs(tmp_path: Path) -> None:
    corrected, original, theirs = (protocol.load(folder(tmp_path), profile) for profile in PROFILES)
    assert (corrected.spec, corrected.attempts, corrected.parse, corrected.unparsed) == (
        *("openai/old-judge", 3, "strict", None),
    )
    assert (original.spec, original.attempts, original.parse, original.unparsed) == (
        *("openai/old-judge", 1, "llava", -1),
    )
    assert (corrected.quirks, original.quirks) == (frozenset(), {"minus-one"})
    assert (theirs.spec, theirs.order, theirs.swap) == ("openai/new-judge", ("response", "reference"), True)
    assert theirs.params == Params(temperature=0.0), "a mapping is replaced, not merged"


def test_rubrics_are_filled_from_the_protocol(tmp_path: Path) -> None:
    theirs = protocol.load(folder(tmp_path), "align-anything")
    pair = theirs.rubric(PairRubric, system="s", user="{first}{second}", baseline="b")
    assert (pair.low, pair.high, pair.order, pair.swap, pair.baseline) == (1, 10, theirs.order, True, "b")
    assert theirs.rubric(Rubric, system="s", user="{response}").params == theirs.params


def test_what_differs_is_listed(tmp_path: Path) -> None:
    found = protocol.settings(folder(tmp_path))
    assert set(found) == {"model", "params", "attempts", "parse", "order", "swap", "unparsed"}
    assert found["attempts"] == {"corrected": 3, "original": 1, "align-anything": 3}
    listed = protocol.differences(tmp_path / "judge")
    assert [(d.name, d.profiles) for d in listed] == [("minus-one", ("original",)), ("fences", ())]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", r"expected a mapping"),
        ("shape: [", r"not YAML"),
        ("shape: pair\nattemps: 3", r"unknown field 'attemps'; did you mean 'attempts'"),
        ("shape: pair\nquirks: [a]", r"unknown field 'quirks'"),
        ("shape: pair\nattempts: many", r"profile corrected: Expected `int`"),
        ("shape: pair\nprofiles: {theirs: {}}", r"Invalid enum value 'theirs'"),
        ("shape: pair\nprofiles: {original: {orders: 3}}", r"profile original: unknown field `orders`"),
        ("model: x", r"missing required field `shape`"),
        ("shape: pair\nprofiles: {original: {quirks: [a]}}\ndifferences: {b: c}", r"unknown quirk 'a'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, said: str, tmp_path: Path) -> None:
    place = folder(tmp_path, text)
    with pytest.raises(DataError, match=rf"protocol\.yaml.*{said}"):
        for profile in PROFILES:
            protocol.load(place, profile)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"protocol\.yaml: No such file"):
        protocol.load(tmp_path, "original")


TASK = """
from eval_anything.judge import Case, PairRubric
from eval_anything.protocol import ProfileOptions, ProtocolTask


class Mine(ProtocolTask):
    name = "mine"
    version = "1"
    title = summary = "mine"
    inputs = ("text",)

    def read_originals(self, folder):
        file = folder / "rules.txt"
        return {"user": file.read_text() + "{response}"} if file.is_file() else {}

    def open(self, source): ...
    def samples(self, dataset): ...
    def case(self, sample, response): ...
"""


def made(tmp_path: Path, prompts: Path | None = None, **options: Any) -> ProtocolTask:
    place = folder(tmp_path)
    (place / "system.md").write_text("Judge.")
    (place / "user.md").write_text("Here: {response}")
    (tmp_path / "mine.py").write_text(TASK)
    cls = Plugins((str(tmp_path / "mine.py"),)).tasks.get("mine")
    task = cls(parse(cls.Options, options, "-T"), prompts)
    assert isinstance(task, ProtocolTask)
    return task


def test_a_task_takes_its_judge_from_the_folder_beside_it(tmp_path: Path) -> None:
    corrected, theirs = made(tmp_path), made(tmp_path, profile="align-anything")
    assert (corrected.judge, corrected.protocol_judge) == ("pair", "openai/old-judge")
    assert theirs.protocol_judge == "openai/new-judge"
    assert corrected.prompts["user"] == "Here: {response}"
    assert corrected.identity() != theirs.identity()
    assert made(tmp_path, profile="original").identity()["protocol"]["quirks"] == ["minus-one"]
    with pytest.raises(UsageError, match=r"Invalid enum value 'aligned'"):
        made(tmp_path, profile="aligned")


def test_prompts_are_replaced_by_files_of_the_same_name_or_by_the_benchmarks_own(tmp_path: Path) -> None:
    own, originals, neither = (tmp_path / name for name in ("own", "originals", "neither"))
    for place in (own, originals, neither):
        place.mkdir()
    (own / "user.md").write_text("Mine: {response}")
    (originals / "rules.txt").write_text("Theirs: ")
    assert made(tmp_path, own).prompts["user"] == "Mine: {response}"
    assert made(tmp_path, originals).prompts["user"] == "Theirs: {response}"
    assert made(tmp_path, own).identity()["prompts"] != made(tmp_path).identity()["prompts"]
    with pytest.raises(DataError, match=r"neither holds none of system\.md, user\.md"):
        made(tmp_path, neither)


def test_every_built_in_protocol_is_whole() -> None:
    plugins = Plugins(())
    tasks = [plugins.tasks.get(name) for name in plugins.tasks.names()]
    protocols = [task for task in tasks if issubclass(task, ProtocolTask)]
    assert len(protocols) >= 5
    for task in protocols:
        has_profiles = "profile" in task.Options.__struct_fields__
        described = {d.name for d in protocol.differences(task.protocol_folder())}
        for profile in PROFILES if has_profiles else ("corrected",):
            found = task(parse(task.Options, {"profile": profile} if has_profiles else {}, "-T")).protocol
            assert found.shape in plugins.judges.names(), task.name
            assert plugins.judges.get(found.shape).needs_model == bool(found.model), task.name
            assert found.quirks <= described, task.name


def test_the_yaml_library_is_loaded_only_by_those_who_read_a_protocol() -> None:
    import subprocess

    code = "import sys, eval_anything.protocol; print('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("lacking", ["{first}", "{second}", "{components}", "{response}", "{response_1}"])
def test_a_template_that_hides_what_is_rated_is_refused(lacking: str, tmp_path: Path) -> None:
    from eval_anything.prompts import PromptSet

    for name, text in (("own", f"{{question}} {lacking}"), ("other", "{question}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "user.md").write_text(text)
    with pytest.raises(DataError, match="the judge would not see what it rates"):
        PromptSet(tmp_path / "own", ["user"], tmp_path / "other")
