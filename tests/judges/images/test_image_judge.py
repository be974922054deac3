"""The judges image_reward and hpsv2: what they make of an answer, and of a checkpoint."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hf_lab
import msgspec
import numpy as np
import PIL.Image
import pytest
import tiny_rewards

import eval_anything
from eval_anything.errors import EvalAnythingError, MissingExtra, UsageError
from eval_anything.judge import Case, Rubric
from eval_anything.judges.images.judge import ImageJudge
from eval_anything.media.convert import load_image, write_png
from eval_anything.options import parse
from eval_anything.registry import Plugins
from eval_anything.values import Audio, Image, Message, Part, Response, Sample, Score, Text

PLUGINS = Path(__file__).parents[2] / "plugins"
FILES = {"image_reward": "ImageReward.pt", "hpsv2": "HPS_v2_compressed.pt"}
CONFIGS = {"image_reward": "med_config.json", "hpsv2": "open_clip_config.json"}


class Lab(hf_lab.Lab):
    """A store with images, and a judge of this name on a tiny checkpoint."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root)
        self.name = name
        self.folder_of_weights = self.build(root / "reward")

    def build(self, folder: Path, change: Any = None) -> Path:
        made: Path = getattr(tiny_rewards, self.name)(folder, "pt", change)
        return made

    def judge(self, **options: Any) -> ImageJudge:
        return judge(self.name, **{"model": str(self.folder_of_weights), "device": "cpu", **options})

    def case(self, *parts: Part | str, prompt: str = "a red circle") -> Case:
        turns = (
            Message("system", (Text("Draw badly."),)),
            Message("user", (Text(prompt),)),
            Message("assistant", (Text("Sure."),)),
            Message("user", (Text("and a fox"),) if prompt else ()),
        )
        content = tuple(Text(p) if isinstance(p, str) else p for p in parts)
        return Case(
            sample=Sample(id="s", messages=turns),
            response=Response(parts=content),
            rubric=Rubric(system="", user=""),
            store=self.store,
        )


def judge(name: str, **options: Any) -> ImageJudge:
    cls = Plugins(()).judges.get(name)
    made: ImageJudge = cls(parse(cls.Options, options, f"judge {name}"))
    return made


@pytest.fixture(scope="module", params=list(FILES))
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp(request.param), request.param)


def _score(judge: ImageJudge, cases: Sequence[Case]) -> list[Score]:
    async def all_of_them() -> list[Score]:
        return list(await asyncio.gather(*(judge.score(case) for case in cases)))

    return asyncio.run(all_of_them())


def test_the_value_is_the_model_s_score_for_all_that_the_user_said(lab: Lab) -> None:
    image = lab.image(1)
    (score,) = _score(lab.judge(), [lab.case("Here.", image)])
    picture = load_image(lab.store.path(image.artifact))
    (expected,) = lab.judge().scorer().score("a red circle\nand a fox", [picture])
    assert score.value == pytest.approx(expected, abs=1e-4)
    assert (score.state, score.judge, score.components) == ("scored", lab.name, {})
    assert score.details == {"images": [score.value]}


def test_several_images_count_their_mean(lab: Lab) -> None:
    images = [lab.image(seed) for seed in (1, 2, 3)]
    together, *alone = _score(lab.judge(), [lab.case(*images), *(lab.case(image) for image in images)])
    values = [score.value for score in alone]
    assert together.details["images"] == pytest.approx(values, abs=1e-4)
    assert together.value == pytest.approx(sum(v or 0 for v in values) / 3, abs=1e-4)
    assert len({round(value or 0, 3) for value in values}) == 3


def test_an_answer_without_an_image_is_no_number(lab: Lab) -> None:
    for parts in ([], ["I would draw a red circle."], [lab.audio(1)]):
        (score,) = _score(lab.judge(), [lab.case(*parts)])
        assert (score.value, score.state, score.reason) == (None, "no_response", "no image in the answer")


def test_a_sample_without_words_is_no_number(lab: Lab) -> None:
    (score,) = _score(lab.judge(), [lab.case(lab.image(1), prompt="")])
    assert (score.value, score.state) == (None, "judge_error")
    assert "no text in the sample's user turns" in score.reason


def test_a_choice_of_modalities_is_left_to_the_votes(lab: Lab) -> None:
    case = lab.case(lab.image(1))
    chosen = msgspec.structs.replace(case.sample, metadata={"selection": {"i": 1.0}})
    (score,) = _score(lab.judge(), [msgspec.structs.replace(case, sample=chosen)])
    assert (score.value, score.state) == (None, "judge_error")


def test_an_image_that_cannot_be_read_costs_its_own_score(lab: Lab) -> None:
    whole, gone, broken = lab.image(1), lab.image(78), lab.image(79)
    lab.store.path(gone.artifact).unlink()
    path = lab.store.path(broken.artifact)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:60])
    some, none = _score(lab.judge(), [lab.case(gone, whole, broken), lab.case(broken)])
    assert some.state == "scored"
    assert some.details["images"] == [None, pytest.approx(some.value), None]
    assert set(some.details["missing"]) == {"0", "2"}
    assert "cannot be decoded" in some.details["missing"]["2"]
    assert (none.value, none.state) == (None, "unparsed")
    assert "cannot be decoded" in none.reason


def test_images_of_every_shape_are_scored(lab: Lab) -> None:
    sizes = [(1, 1), (300, 1), (1, 300), (20_000, 1), (64, 64), (500, 20)]
    parts = [
        Image(lab.store.add_bytes(write_png(PIL.Image.effect_noise(size, 80).convert("RGB")), "image"))
        for size in sizes
    ]
    (score,) = _score(lab.judge(), [lab.case(*parts)])
    assert "missing" not in score.details
    assert all(math.isfinite(value) for value in score.details["images"])


def test_a_score_that_is_no_number_says_so(lab: Lab, tmp_path: Path) -> None:
    head = {"image_reward": "mlp.layers.7.bias", "hpsv2": "visual.proj"}[lab.name]
    folder = lab.build(tmp_path, lambda held: held[head].fill_(math.nan))
    (score,) = _score(lab.judge(model=str(folder)), [lab.case(lab.image(1))])
    assert (score.value, score.state) == (None, "unparsed")
    assert score.reason == "the reward model's score is no number"


def test_many_at_once_score_as_one_by_one(lab: Lab) -> None:
    cases = [
        lab.case(*(lab.image(10 * i + j) for j in range(i % 3 + 1)), prompt=f"{'fox ' * i} number {i}")
        for i in range(1, 8)
    ]
    made = lab.judge(batch_size=4, workers=2)
    together = _score(made, cases)
    for case, score in zip(cases, together, strict=True):
        (alone,) = _score(made, [case])  # each in an event loop of its own
        assert alone.value == pytest.approx(score.value, abs=1e-4)


def test_an_answer_with_images_needs_a_store(lab: Lab) -> None:
    case = msgspec.structs.replace(lab.case(lab.image(1)), store=None)
    with pytest.raises(
        UsageError, match=f"judge {lab.name} looks at images: it needs the run's artifact store"
    ):
        _score(lab.judge(), [case])


def test_a_checkpoint_that_cannot_be_loaded_is_the_user_s_error_each_time(lab: Lab, tmp_path: Path) -> None:
    gone = {"image_reward": "mlp.layers.0.bias", "hpsv2": "text_projection"}[lab.name]
    made = lab.judge(model=str(lab.build(tmp_path, lambda held: held.pop(gone))))
    made.check(("image",))
    for _ in range(2):
        with pytest.raises(UsageError, match=f"1 missing: {gone}"):
            _score(made, [lab.case(lab.image(1), lab.image(2))])


def test_check_names_what_is_wrong_before_the_run(lab: Lab, tmp_path: Path) -> None:
    lab.judge().check(("text", "image"))
    lab.judge(model=str(lab.folder_of_weights / FILES[lab.name])).check(("image",))
    with pytest.raises(UsageError, match=f"judge {lab.name} scores images; the task asks for text, audio"):
        lab.judge().check(("text", "audio"))
    with pytest.raises(UsageError, match=f"judge {lab.name}, option model: .*no such folder"):
        lab.judge(model="./nowhere").check(("image",))
    shutil.copy(lab.folder_of_weights / CONFIGS[lab.name], tmp_path)
    expected = FILES[lab.name].removesuffix(".pt")
    with pytest.raises(
        UsageError,
        match=rf"weights are missing: expected {expected}\.safetensors or {expected}\.pt \(the folder holds",
    ):
        lab.judge(model=str(tmp_path)).check(("image",))
    hub = {"image_reward": "THUDM/ImageReward", "hpsv2": "xswu/HPSv2"}[lab.name]
    with pytest.raises(UsageError, match=f"judge {lab.name}, option model: .*{hub}"):
        judge(lab.name).check(("image",))  # hubs are offline in tests


def test_a_package_that_is_not_installed_is_named_before_the_run(lab: Lab) -> None:
    class Bare(type(lab.judge())):  # type: ignore[misc]
        packages = ("a_package_of_nobody",)

    with pytest.raises(
        MissingExtra, match=r"needs a_package_of_nobody: pip install 'eval-anything\[reward\]'"
    ):
        Bare(lab.judge().options).check(("image",))


def test_a_tokenizer_is_looked_for_beside_the_weights_and_where_it_is_said_to_be(tmp_path: Path) -> None:
    folder = tiny_rewards.image_reward(tmp_path / "reward")
    elsewhere = tmp_path / "bert"
    elsewhere.mkdir()
    shutil.move(folder / "vocab.txt", elsewhere)
    for tokenizer in (str(elsewhere), str(elsewhere / "vocab.txt")):
        judge("image_reward", model=str(folder), tokenizer=tokenizer).check(("image",))
    for tokenizer, said in (("", "google-bert/bert-base-uncased"), (str(tmp_path), "no vocab.txt")):
        made = judge("image_reward", model=str(folder), tokenizer=tokenizer)
        with pytest.raises(UsageError, match=f"judge image_reward, option tokenizer: .*{said}"):
            made.check(("image",))


def test_identity_changes_with_every_file_that_decides_a_score(lab: Lab, tmp_path: Path) -> None:
    folder = shutil.copytree(lab.folder_of_weights, tmp_path / "c")
    made = lab.judge(model=str(folder))
    assert made.identity() == lab.judge().identity()
    seen = [made.identity()]
    for name in sorted(p.name for p in folder.iterdir()):
        with (folder / name).open("ab") as file:
            file.write(b" ")
        seen.append(made.identity())
    assert len({json.dumps(one) for one in seen}) == len(seen) == {"image_reward": 4, "hpsv2": 3}[lab.name]
    (folder / "README.md").write_text("nothing that decides a score")
    assert made.identity() == seen[-1]


def test_what_cannot_change_a_score_is_transport(lab: Lab) -> None:
    assert {"device", "batch_size", "workers"} <= set(lab.judge().transport_options)
    assert "dtype" not in lab.judge().transport_options


def test_versions_of_hpsv2_are_two_checkpoints(tmp_path: Path) -> None:
    tiny_rewards.hpsv2(tmp_path)
    tiny_rewards.hpsv2(tmp_path, version="2.1")
    image = PIL.Image.effect_noise((40, 40), 90).convert("RGB")
    scores = {}
    for version in ("v2.0", "v2.1"):
        made = judge("hpsv2", model=str(tmp_path), version=version)
        scores[version] = (made.scorer().score("a cat", [image])[0], made.identity()["checkpoint"])
    assert scores["v2.0"][0] != scores["v2.1"][0]
    assert scores["v2.0"][1] != scores["v2.1"][1]


def test_options_are_strict(lab: Lab) -> None:
    for option in ({"batch_size": 0}, {"workers": 0}, {"dtype": "int8"}, {"version": "v3"}, {"size": 1}):
        with pytest.raises(UsageError):
            lab.judge(**option)


def test_naming_the_judges_imports_nothing_heavy() -> None:
    code = (
        "import sys; from eval_anything.registry import Plugins; "
        f"[Plugins().judges.get(name) for name in {list(FILES)}]; "
        "print([m for m in ('torch', 'transformers', 'open_clip', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _evaluate(lab: Lab, checkpoint: Path, out: Path, **options: Any) -> Any:
    return eval_anything.evaluate(
        model="fake/echo",
        tasks=["picture_task"],
        include=[PLUGINS / "media_task.py"],
        data="synthetic:n=12,seed=1",
        judge={"*": lab.name},
        judge_options={"model": str(checkpoint), "device": "cpu", **options},
        out=out,
    ).tasks[0]


def test_a_run_reports_the_mean_over_its_samples(lab: Lab, tmp_path: Path) -> None:
    result = _evaluate(lab, lab.folder_of_weights, tmp_path / "run", batch_size=5)
    assert result.judge == lab.name
    assert result.counts.scored == 12
    scores = {}
    for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines():
        row = json.loads(line)
        if "score" in row:
            scores[row["id"]] = row["score"]
    values = [score["value"] for score in scores.values()]
    assert result.metrics[0].value == pytest.approx(np.mean(values))
    assert all(len(score["details"]["images"]) == 1 for score in scores.values())
    again = _evaluate(lab, lab.folder_of_weights, tmp_path / "again", batch_size=1, workers=1)
    assert again.fingerprint == result.fingerprint  # how it is batched is no part of what is measured
    assert again.metrics[0].value == pytest.approx(result.metrics[0].value, abs=1e-4)


def test_a_run_with_a_checkpoint_that_cannot_be_loaded_ends_and_says_why(lab: Lab, tmp_path: Path) -> None:
    gone = {"image_reward": "mlp.layers.0.bias", "hpsv2": "text_projection"}[lab.name]
    folder = lab.build(tmp_path / "c", lambda held: held.pop(gone))
    with pytest.raises(EvalAnythingError, match=f"1 missing: {gone}"):
        _evaluate(lab, folder, tmp_path / "run")


def test_audio_in_an_answer_is_not_looked_at(lab: Lab) -> None:
    sound: Audio = lab.audio(1)
    plain, with_sound = _score(lab.judge(), [lab.case(lab.image(1)), lab.case(sound, lab.image(1), "la")])
    assert plain.value == pytest.approx(with_sound.value, abs=1e-4)
