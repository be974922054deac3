"""Reward models without a run."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tiny_rewards

from eval_anything.errors import MediaError, UnknownName, UsageError
from eval_anything.judges.images import reward
from eval_anything.judges.images.pixels import centre
from eval_anything.judges.images.scorer import ImageScorer
from eval_anything.media.convert import write_png


def _picture(seed: int, size: tuple[int, int] = (40, 30)) -> PIL.Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise)


@pytest.mark.parametrize("name", ["image_reward", "hpsv2"])
def test_a_reward_by_name_scores_images_and_files(name: str, tmp_path: Path) -> None:
    folder = getattr(tiny_rewards, name)(tmp_path)
    scorer = reward(name, model=str(folder), device="cpu")
    (tmp_path / "a.png").write_bytes(write_png(_picture(1)))
    images = [_picture(1), tmp_path / "a.png", str(tmp_path / "a.png"), _picture(2)]
    scores = scorer.score(["a red circle"] * 4, images)
    assert scores[0] == pytest.approx(scores[1], abs=1e-4) == pytest.approx(scores[2], abs=1e-4)
    assert abs(scores[3] - scores[0]) > 1e-4
    assert scorer.score("a red circle", images) == scores
    assert scorer.score([], []) == []
    clear = _picture(1).convert("RGBA")
    clear.putalpha(0)
    white = PIL.Image.new("RGB", (40, 30), "white")
    on_white, blank = scorer.score("a fox", [clear, white])
    assert on_white == pytest.approx(blank, abs=1e-4)


def test_what_is_no_reward_is_named() -> None:
    with pytest.raises(UnknownName, match="hpsv2"):
        reward("hpsv")
    with pytest.raises(UsageError, match="judge synergy does not score single images"):
        reward("synergy")
    with pytest.raises(UsageError, match=r"options of reward hpsv2: .*verzion.*version"):
        reward("hpsv2", verzion="v2.1")
    with pytest.raises(UsageError, match=r"judge hpsv2, option model: .*no such folder"):
        reward("hpsv2", model="./nowhere")


class _Counting(ImageScorer):
    """Scores an image by its red, and remembers how far decoding went ahead."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.decoded = self.scored = self.most = 0
        self.threads: set[int] = set()

    def pixels(self, image: PIL.Image.Image) -> np.ndarray:
        with self.lock:
            self.decoded += 1
            self.most = max(self.most, self.decoded - self.scored)
            self.threads.add(threading.get_ident())
        return centre(image, 4)

    def run(self, prompts: Sequence[str], pixels: Sequence[np.ndarray]) -> list[float]:
        with self.lock:
            self.scored += len(pixels)
        return [float(one[..., 0].mean()) for one in pixels]


def test_decoding_keeps_the_order_and_stays_a_few_batches_ahead() -> None:
    scorer = _Counting()
    images = [PIL.Image.new("RGB", (9, 9), (value, 0, 0)) for value in range(200)]
    assert scorer.score("red", images, batch_size=5, workers=3) == list(range(200))
    assert scorer.decoded == scorer.scored == 200
    assert 5 < scorer.most <= 5 * 4 + 1
    assert len(scorer.threads) == 3
    assert threading.get_ident() not in scorer.threads


def test_prompts_and_images_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="2 prompts for 1 images"):
        _Counting().score(["a", "b"], [_picture(1)])


def test_a_file_that_cannot_be_decoded_is_named_and_ends_the_work(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(write_png(_picture(1))[:50])
    scorer = _Counting()
    with pytest.raises(MediaError, match=r"bad\.png: cannot be decoded"):
        scorer.score("red", [_picture(1), tmp_path / "bad.png", *[_picture(2)] * 500], workers=1)
    assert scorer.decoded < 100


def test_asking_for_a_reward_imports_nothing_heavy() -> None:
    code = (
        "import sys; from eval_anything.judges.images import reward;"
        "print([m for m in ('torch', 'transformers', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
