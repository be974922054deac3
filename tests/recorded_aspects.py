"""A judging server whose replies are recorded by sample, aspect and attempt, whatever the order of requests.

The answers that it judges say ANSWER, the sample's id and a full stop, unless a test tells samples apart in
another way; the system prompt tells the aspect.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from servers.openai_server import Call, OpenAIServer, in_thread

import eval_anything
from eval_anything.results.values import TaskResult

Key = tuple[str, str]
"""Id of the sample, and the aspect."""
_MARK = re.compile(r"ANSWER (\S+)\.(?=\s|\\n|$)")


class RecordedAspects:
    """The script of an OpenAIServer: the next recorded reply for the sample and the aspect asked about.

    A question that is asked more often than it has replies is a fault of the run.
    """

    def __init__(
        self,
        replies: Mapping[Key, Sequence[str]],
        judge_folder: Path,
        sample_of: Callable[[str], str] | None = None,
    ) -> None:
        """`sample_of`: the sample that the text shown to the judge is about."""
        self.replies = replies
        self._sample_of = sample_of or _marked
        self.asked: Counter[Key] = Counter()
        self.shown: dict[Key, dict[str, Any]] = {}
        """The last body of each question."""
        self._aspects = {
            path.read_text().strip(): path.stem.removesuffix("_system")
            for path in judge_folder.glob("*_system.md")
        }

    def __call__(self, call: Call) -> str:
        system, user = call.body["messages"]
        key = (self._sample_of(text_of(user)), self._aspects[text_of(system).strip()])
        self.shown[key] = call.body
        self.asked[key] += 1
        return self.replies[key][self.asked[key] - 1]


def _marked(text: str) -> str:
    found = _MARK.search(text)
    assert found is not None, text
    return found[1]


def text_of(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def judged(
    task: str,
    data: Path,
    judge: RecordedAspects,
    rows: Iterable[Mapping[str, Any]],
    out: Path,
    **options: Any,
) -> TaskResult:
    """A whole run of `task` on `data`: the model's answers are replayed from `rows`, the judge's recorded."""
    out.mkdir(parents=True, exist_ok=True)
    recording = out / "answers.jsonl"
    recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with in_thread(OpenAIServer(judge)) as server:
        results = eval_anything.evaluate(
            model=f"replay/{recording}",
            tasks=[task],
            data=str(data),
            judge="openai/judge",
            judge_options={"base_url": server.url},
            out=out / "run",
            **options,
        )
    return results.tasks[0]
