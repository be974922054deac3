"""A judge's reward model by the judge's name, without a run: for training, notebooks, scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eval_anything.errors import UsageError
from eval_anything.judges.images.judge import ImageJudge
from eval_anything.options import parse
from eval_anything.registry import Plugins

if TYPE_CHECKING:
    from eval_anything.judges.images.scorer import ImageScorer


def reward(name: str, **options: Any) -> "ImageScorer":
    """The loaded reward model of judge `name`; `options` are the judge's own (`-J` on the command line).

        from eval_anything.judges.images import reward

        hpsv2 = reward("hpsv2", version="v2.1", device="cuda:0")
        scores = hpsv2.score(["a red fox", "two cats"], [first_image, "second.png"])

    Raises UsageError where there is no such judge, an option is wrong, or the checkpoint does not load.
    """
    judge: Any = Plugins().judges.get(name)
    if not issubclass(judge, ImageJudge):
        raise UsageError(f"judge {name} does not score single images")
    scorer: ImageScorer = judge(parse(judge.Options, options, f"options of reward {name}")).scorer()
    return scorer
