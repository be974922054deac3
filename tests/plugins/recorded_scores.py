"""A judge of images whose scores are recorded, by sample and repeat: for tests of what is made of scores."""

import json
from pathlib import Path

import msgspec

from eval_anything.judge import Case, Judge
from eval_anything.values import Score


class RecordedOptions(msgspec.Struct, frozen=True):
    file: str = ""
    """JSON: {"ID": [score of repeat 0, score of repeat 1, ...]}; null: no verdict."""


class RecordedScores(Judge):
    name = "recorded_scores"
    summary = "scores from a file"
    Options = RecordedOptions

    async def score(self, case: Case) -> Score:
        value = json.loads(Path(self.options.file).read_text())[case.sample.id][case.repeat]
        if value is None:
            return Score(value=None, state="unparsed", reason="recorded as none", judge=self.label)
        return Score(value=value, state="scored", judge=self.label)
