"""Video-ChatGPT: open questions about videos, rated in five aspects by a judge that sees text alone.

Protocol: Maaz et al., Video-ChatGPT (arXiv 2306.05424); the card beside this file says what is published,
what was corrected, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from eval_anything.judge import Aspect, AspectsRubric, Case
from eval_anything.protocol import ProfileOptions, ProtocolTask
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.video_chatgpt import data
from eval_anything.tasks.video_chatgpt.data import Part
from eval_anything.values import File, Message, Params, Reference, Response, Sample, Text

ASPECTS: Mapping[Part, tuple[str, ...]] = {
    "generic": ("correctness", "detail", "context"),
    "temporal": ("temporal",),
    "consistency": ("consistency",),
}
"""What each part is rated in."""


class VideoChatGPTOptions(ProfileOptions, frozen=True):
    revision: str = data.REVISION
    """Commit or branch of the hub's mirror."""


class VideoChatGPT(ProtocolTask):
    name = "video_chatgpt"
    version = "1"
    title = "Video-ChatGPT: video conversation"
    summary = "2,994 open questions about 500 videos, rated 0 to 5 in five aspects by a judge"
    inputs = ("text", "video")
    licence = "CC BY-NC-SA 4.0 (data)"
    citation = (
        "Maaz et al., Video-ChatGPT: Towards Detailed Video Understanding via Large Vision and Language"
        " Models, arXiv 2306.05424, ACL 2024"
    )
    homepage = "https://github.com/mbzuai-oryx/Video-ChatGPT"
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "reference"
    Options = VideoChatGPTOptions
    params = Params(temperature=0.0, max_tokens=1024)

    def open(self, source: DataSource) -> Dataset:
        found = data.locate(source, self.options.revision)
        return Dataset(
            kind=source.kind,
            root=found.root,
            revision=found.revision,
            size=len(found.items),
            records=found,
            notes=(found.note,) if found.note else (),
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for item in dataset.records.items:
            video = File(str(dataset.records.videos[item.video]), "video")
            asked = [(Message("user", (video, Text(question))),) for question in item.questions]
            yield Sample(
                id=item.id,
                messages=asked[0],
                further=tuple(asked[1:]),
                references=(Reference(text=item.answer),),
                group=item.part,
                cluster=item.video,
            )

    def case(self, sample: Sample, response: Response) -> Case:
        aspects = tuple(
            Aspect(name=name, system=self.prompts[f"{name}_system"], user=self.prompts[f"{name}_user"])
            for name in ASPECTS[sample.group]
        )
        rubric = self.protocol.rubric(
            AspectsRubric, system="", user="", values=self._values(sample), aspects=aspects
        )
        return Case(sample=sample, response=response, rubric=rubric)

    def aggregation(self) -> Tree:
        parts = tuple(
            Metric(name=name, groups=(part,), column=name)
            for part, names in ASPECTS.items()
            for name in names
        )
        return Tree(headline=Metric(name="average", parts=parts), low=0, high=5)

    def read_originals(self, folder: Path) -> Mapping[str, str]:
        from eval_anything.tasks.video_chatgpt.originals import read_originals

        return read_originals(folder)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.video_chatgpt.twin import write_twin

        write_twin(out, n, seed)

    def _values(self, sample: Sample) -> dict[str, str]:
        questions = [_text(messages) for messages in sample.requests]
        values = {"question": questions[0], "answer": sample.references[0].text}
        if len(questions) > 1:
            twice = "first-question-twice" in self.protocol.quirks
            values |= {"question_1": questions[0], "question_2": questions[0 if twice else 1]}
        return values


def _text(messages: tuple[Message, ...]) -> str:
    return "\n".join(part.text for message in messages for part in message.parts if isinstance(part, Text))
