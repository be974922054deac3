"""What each stage of LLF does. With `ask`, it is done; without, what was done is checked and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from eval_anything.errors import RunConflict, UsageError
from eval_anything.values import Sample
from eval_anything_train.data import source
from eval_anything_train.llf import pairs
from eval_anything_train.llf.answers import Answers, Asking
from eval_anything_train.llf.manifest import Done
from eval_anything_train.llf.references import references
from eval_anything_train.llf.settings import NONE, TRAINED, LLFSettings, Stage
from eval_anything_train.llf.speakers import Speaker, adviser, initial, judge
from eval_anything_train.llf.templates import Templates
from eval_anything_train.llf.trainings import Trainings
from eval_anything_train.llf.winrate import Comparing, Contest, Outcome, offline_judge, preferred, winrate
from eval_anything_train.manifest import now
from eval_anything_train.values import Prompt


class Job:
    """What all stages of a session share: settings, prompts, models, templates."""

    def __init__(self, settings: LLFSettings, stream: TextIO | None, need: Callable[[Stage], Any]) -> None:
        """`need` gives what a finished stage gave. Raises UsageError and DataError for whatever can be known
        to be wrong before anything is asked."""
        self.settings = settings
        self.stream = stream
        self.need = need
        self.out = Path(settings.out)
        self.templates = Templates(settings.templates)
        self.trainings = Trainings(settings)
        self.initial = initial(settings)
        self.adviser = adviser(settings, self.trainings.final("feedback"))
        self.judge = judge(settings)
        self.prompt_data = settings.prompt_data or settings.data
        data = source.load(self.prompt_data, Prompt, limit=settings.limit)
        self.prompts: Sequence[Prompt] = data.records
        self.notes = data.notes
        if settings.only_preferred and not settings.compare:
            raise UsageError("--only-preferred: --compare must name the judge that prefers")
        if settings.compare and self.judge is None:
            offline_judge(settings.compare)
            references(self.prompt_data)
        self.secrets = self._secrets(data.inputs)

    def _secrets(self, inputs: Sequence[Any]) -> tuple[str, ...]:
        """Of all models, which are checked for what they take and give."""
        outputs, trained = self.settings.outputs, self.settings.feedback_model == TRAINED
        if trained and self.adviser is not None:
            self.adviser.endpoint()  # a model that is yet to be takes what the initial one takes
        asked: list[tuple[Speaker | None, Sequence[Any], Sequence[Any]]] = [
            (self.initial, inputs, outputs),
            (None if trained else self.adviser, inputs, ("text",)),
            (self.judge, inputs, ("text",)),
        ]
        return tuple(
            secret
            for speaker, taken, given in asked
            if speaker is not None
            for secret in speaker.check((*taken, *(m for m in outputs if m != "text")), given)
        )

    def has(self, stage: Stage) -> bool:
        """Whether `stage` is one of what the settings ask for."""
        match stage:
            case "feedback":
                return self.settings.feedback_model == TRAINED
            case "critique":
                return self.settings.feedback_model != NONE
            case "compare":
                return bool(self.settings.compare)
        return True

    def asking(self, stage: Stage, speaker: Speaker, **decides: str) -> Asking:
        sampling = getattr(self.settings, stage)
        return Asking(stage, speaker, sampling, self.settings, self.out / stage, decides)


def feedback(job: Job, ask: bool) -> tuple[None, Done]:
    """The feedback model."""
    if not ask:
        job.trainings.check_feedback()
        return None, _done({})
    counts = job.trainings.feedback(job.stream)
    return None, _done(counts, model=str(job.trainings.final("feedback")))


def respond(job: Job, ask: bool) -> tuple[Answers, Done]:
    """The first answers."""
    samples = (Sample(id=prompt.id, messages=prompt.messages) for prompt in job.prompts)
    return _asked(job, job.asking("respond", job.initial), samples, ask)


def critique(job: Job, ask: bool) -> tuple[Answers, Done]:
    """Critique and refinement of each answer."""
    if job.settings.feedback_model == TRAINED:
        job.need("feedback")
    first: Answers = job.need("respond")
    speaker = job.adviser
    assert speaker is not None
    instruct = not speaker.in_process if job.settings.instruct is None else job.settings.instruct

    def samples() -> Iterator[Sample]:
        for prompt in job.prompts:
            if first.usable(prompt.id):
                answer = first.said[prompt.id].answer
                asked = job.templates.critique(prompt.messages, answer, instruct=instruct)
                yield Sample(id=prompt.id, messages=asked)

    decides = {"instruct": job.templates.digest("instruct")} if instruct else {}
    return _asked(job, job.asking("critique", speaker, **decides), samples(), ask)


def refine(job: Job, ask: bool) -> tuple[Answers, Done]:
    """The initial model's answers in the light of the feedback, or without any."""
    first: Answers = job.need("respond")
    critiques: Answers | None = job.need("critique") if job.has("critique") else None

    def samples() -> Iterator[Sample]:
        for prompt in job.prompts:
            if first.usable(prompt.id) and (critiques is None or critiques.usable(prompt.id)):
                said = None if critiques is None else critiques.said[prompt.id].text.strip()
                asked = job.templates.again(prompt.messages, first.said[prompt.id].answer, said)
                yield Sample(id=prompt.id, messages=asked)

    name = "alone" if critiques is None else "refine"
    asking = job.asking("refine", job.initial, **{name: job.templates.digest(name)})
    return _asked(job, asking, samples(), ask)


def compare(job: Job, ask: bool) -> tuple[list[Outcome], Done]:
    """Which of the two answers a judge prefers."""
    first: Answers = job.need("respond")
    refined: Answers = job.need("refine")
    settings = job.settings
    known = references(job.prompt_data) if job.judge is None else {}
    both = [prompt for prompt in job.prompts if first.usable(prompt.id) and refined.usable(prompt.id)]
    compared = [prompt for prompt in both if job.judge is not None or known.get(prompt.id)]
    contests = [
        Contest(
            id=prompt.id,
            messages=prompt.messages,
            refined=refined.said[prompt.id].answer,
            first=first.said[prompt.id].answer,
            references=known.get(prompt.id, ()),
        )
        for prompt in compared
    ]
    how = Comparing(
        options={} if job.judge is None else job.judge.options,
        seed=settings.seed,
        templates=settings.templates,
        concurrency=settings.concurrency,
        cache=settings.cache,
        error_budget=settings.error_budget,
        ask=ask,
        progress=job.stream is not None,
    )
    rate, outcomes = winrate(contests, settings.compare, job.out / "compare", how)
    left_out = {"without a reference": len(both) - len(compared)} if job.judge is None else {}
    counts = {"wins": rate.wins, "ties": rate.ties, "losses": rate.losses, **rate.missing, **left_out}
    return outcomes, _done(counts, judge=rate.judge, win_rate=rate.win_rate, low=rate.low, high=rate.high)


def pair(job: Job, ask: bool) -> tuple[dict[str, int], Done]:
    """The refined answers, preferred to the first ones, as a data set."""
    settings = job.settings
    first: Answers = job.need("respond")
    critiques: Answers | None = job.need("critique") if job.has("critique") else None
    refined: Answers = job.need("refine")
    liked = preferred(job.need("compare")) if settings.only_preferred else None
    origin: dict[str, Any] = {
        "model": job.initial.spec,
        "feedback_model": None if job.adviser is None else job.adviser.spec,
        "seed": settings.seed,
    }
    sources = pairs.Sources(
        prompts=job.prompts,
        first=first.said,
        critiques=None if critiques is None else critiques.said,
        refined=refined.said,
        preferred=liked,
        keep_truncated=settings.keep_truncated,
        origin=origin,
    )
    identity = {
        "answers": {
            "respond": first.fingerprint,
            "critique": None if critiques is None else critiques.fingerprint,
            "refine": refined.fingerprint,
        },
        "keep_truncated": settings.keep_truncated,
        "preferred_by": settings.compare if settings.only_preferred else None,
    }
    folder = job.out / "pairs"
    counts = pairs.make(folder, sources, identity) if ask else pairs.held(folder, identity)
    if counts is None:
        raise RunConflict(f"{folder} is gone, and {job.out} has it as finished")
    return counts, _done(counts, data=str(folder / pairs.PAIRS))


def train(job: Job, ask: bool) -> tuple[None, Done]:
    """DPO on the pairs; or a reward model, and PPO with it."""
    job.need("pairs")
    trainings = job.trainings
    if not ask and trainings.last == "dpo":
        trainings.check("dpo")
        return None, _done({})
    if trainings.last == "ppo":
        trainings.train("reward", job.stream)
    trained = trainings.train(trainings.last, job.stream)
    return None, _done({"steps": trained.manifest.steps}, model=str(trained.folder))


def _asked(job: Job, asking: Asking, samples: Iterator[Sample], ask: bool) -> tuple[Answers, Done]:
    found = asking.answers(samples, ask=ask, progress=job.stream is not None)
    return found, _done(found.counts, model=asking.speaker.spec)


def _done(counts: dict[str, int], **facts: Any) -> Done:
    return Done(finished=now(), counts=counts, facts=facts)
