"""A judging server whose replies are recorded, by sample and attempt, whatever the order of the requests.

The answers that it judges say ANSWER and the sample's id, so that it knows which sample is asked about.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from servers.openai_server import Call, OpenAIServer, in_thread

import eval_anything
from eval_anything.results.values import TaskResult

_MARK = re.compile(r"ANSWER (\w+)")


class RecordedJudge:
    """The script of an OpenAIServer: the next recorded reply for the sample that is asked about.

    A sample that is asked more often than it has replies is a fault of the run.
    """

    def __init__(self, replies: Mapping[str, Sequence[str]]) -> None:
        self.replies = replies
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, call: Call) -> str:
        self.bodies.append(call.body)
        found = _MARK.search(json.dumps(call.body))
        assert found is not None
        self.asked[found[1]] += 1
        return self.replies[found[1]][self.asked[found[1]] - 1]


def marked(ids: Iterable[str]) -> dict[str, str]:
    """An answer to each sample, with its mark."""
    return {i: f"ANSWER {i}." for i in ids}


def judged(
    task: str,
    data: Path,
    replies: Mapping[str, Sequence[str]],
    out: Path,
    responses: Mapping[str, str] | None = None,
    **options: Any,
) -> tuple[TaskResult, RecordedJudge]:
    """A whole run of `task` on `data` with these replies of the judge; the model's responses are recorded
    too, and marked unless they are given."""
    script = RecordedJudge(replies)
    out.mkdir(parents=True)
    recording = out / "answers.jsonl"
    rows = [{"id": i, "response": text} for i, text in (responses or marked(replies)).items()]
    recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with in_thread(OpenAIServer(script)) as server:
        results = eval_anything.evaluate(
            model=f"replay/{recording}",
            tasks=[task],
            data=str(data),
            judge="openai/judge",
            judge_options={"base_url": server.url},
            out=out / "run",
            **options,
        )
    return results.tasks[0], script
