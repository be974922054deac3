"""`scene`: the offline judge of generated media, which knows the scenes behind synthetic ones.

No model, no network, the same number every time. It looks at no pixel and hears no sample: it compares the
scene from which a synthetic generator made a medium, and the things of the scene vocabulary that texts name,
with what was asked for. So it judges a prompt that reached the generator, not a generator. Media without a
known scene have no score.

What is compared follows from the case:

- questions in the sample: answered for the medium's scene;
- aspects: of a document of text and images, against the reference's text, or the prompt where there is none;
- a rubric with media: the image against the prompt, by the parts of AMG's rubric (elements 4, their details
  3, consistency of the scene 2, nothing extra 1; 0 where nothing that was asked for is there);
- a rubric of text: how much of what the prompt names the answer names too;
- no rubric: whether text, image and audio of one answer go together, in pairs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from eval_anything.judge import AspectsRubric, Case, Judge
from eval_anything.judges.agreement import coverage, heard_alike, match, seen_alike, stated
from eval_anything.judges.asked import user_text
from eval_anything.judges.choice import Question, by_question, questions_of
from eval_anything.judges.media import media_of
from eval_anything.judges.scene_aspects import Document, rate
from eval_anything.judges.spread import spread
from eval_anything.judges.votes import NOT_BY_VOTES, about_choice
from eval_anything.synth.parse import Mentions, mentions
from eval_anything.synth.question_families import FAMILIES, About
from eval_anything.synth.questions import answer, split_choices
from eval_anything.synth.scene import Scene
from eval_anything.values import Audio, Image, MediaPart, Score, ScoreState, Video

_UNKNOWN = "no known scene behind it"
_NAMELESS = "the prompt names nothing of the scene vocabulary"
_ABOUT: dict[type[MediaPart], About] = {Image: "image", Audio: "audio", Video: "video"}


class SceneJudge(Judge):
    """Agreement with what was asked for, by what is known of synthetic media."""

    name = "scene"
    summary = "known scenes behind synthetic media against what was asked for; offline, no model"

    async def score(self, case: Case) -> Score:
        if about_choice(case):
            return self._missing("judge_error", NOT_BY_VOTES)
        if case.sample.metadata.get("questions"):
            return self._questions(case)
        if isinstance(case.rubric, AspectsRubric):
            return self._document(case, case.rubric)
        if case.rubric.media:
            return self._image(case)
        return self._text(case) if case.rubric.system else self._synergy(case)

    def _questions(self, case: Case) -> Score:
        questions = questions_of(case.sample)
        whole = by_question(case.sample, len(questions))
        medium = next(iter(media_of(case.response)), None)
        scene = None if medium is None else scene_behind(medium)
        if medium is None or scene is None:
            reason = _UNKNOWN if medium is not None else "no medium in the answer to ask about"
            return self._missing("unparsed", reason, weight=whole)
        found = [_right(question, scene, _ABOUT[type(medium)]) for question in questions]
        known = [right for right in found if right is not None]
        details = {
            "questions": [
                {"question_id": question.question_id, "right": right}
                for question, right in zip(questions, found, strict=True)
            ],
            "unanswered": len(found) - len(known),
        }
        if not known:
            reason = "none of the questions is about a scene"
            return self._missing("unparsed", reason, weight=whole, details=details)
        share = sum(known) / len(known)
        return self._scored(case, share, weight=by_question(case.sample, len(known)), details=details)

    def _image(self, case: Case) -> Score:
        asked = mentions(user_text(case.sample)).objects
        image = _first(case, Image)
        scene = None if image is None else scene_behind(image)
        if not asked or scene is None:
            return self._missing("unparsed", _UNKNOWN if asked else _NAMELESS)
        matched = match(asked, stated(scene).objects)
        parts = {
            "elements": 4 * matched.elements,
            "details": 3 * matched.details,
            "consistency": 2 * matched.arrangement,
            "nothing extra": 1 - matched.extra,
        }
        share = sum(parts.values()) / 10 if matched.partner else 0.0
        return self._scored(case, share, details={name: round(part, 4) for name, part in parts.items()})

    def _document(self, case: Case, rubric: AspectsRubric) -> Score:
        references = case.sample.references
        expected = mentions(references[0].text if references else user_text(case.sample))
        scenes = [scene_behind(part) for part in media_of(case.response)]
        known = [stated(scene) for scene in scenes if scene is not None]
        if not expected.objects or len(known) < len(scenes):
            return self._missing("unparsed", _UNKNOWN if expected.objects else _NAMELESS)
        document = Document(expected=expected, said=mentions(case.response.text), images=known)
        value, components = rate(rubric, document)
        return Score(value=value, state="scored", judge=self.label, components=components)

    def _text(self, case: Case) -> Score:
        asked = mentions(user_text(case.sample))
        if not asked:
            return self._missing("unparsed", _NAMELESS)
        share = coverage(asked, mentions(case.response.text))
        return self._scored(case, share, details={"coverage": round(share, 4)})

    def _synergy(self, case: Case) -> Score:
        """Pairs that lack one of the two have no score of their own; the value is the mean of the others."""
        asked, text = mentions(user_text(case.sample)), case.response.text
        said = mentions(text) if text.strip() else None
        image, audio = (_of(_first(case, kind)) for kind in (Image, Audio))
        pairs = {
            "text-image": None if said is None or image is None else seen_alike(said.objects, image.objects),
            "text-audio": None if said is None or audio is None else heard_alike(said.sounds, audio.sounds),
            "image-audio": None if image is None or audio is None else together(asked, image, audio),
        }
        known = [value for value in pairs.values() if value is not None]
        parts = {"text": said, "image": image, "audio": audio}
        details = {"lacking": [name for name, part in parts.items() if part is None]}
        if not known:
            reason = f"no two to compare: no {', '.join(details['lacking'])} with a known scene in the answer"
            return self._missing("unparsed", reason, details=details, components=pairs)
        share = sum(known) / len(known)
        return self._scored(case, share, details=details, components=pairs)

    def _scored(self, case: Case, share: float, **fields: Any) -> Score:
        value, components = spread(case.rubric, share)
        components |= fields.pop("components", {})
        return Score(value=value, state="scored", judge=self.label, components=components, **fields)

    def _missing(self, state: ScoreState, reason: str, **fields: Any) -> Score:
        return Score(value=None, state=state, reason=reason, judge=self.label, **fields)


def scene_behind(part: MediaPart) -> Scene | None:
    """The scene that a synthetic medium was made from; None where its lineage tells of none."""
    lineage = part.artifact.lineage
    if lineage is None or "scene" not in lineage.details:
        return None
    try:
        return msgspec.convert(lineage.details["scene"], Scene)
    except msgspec.ValidationError:
        return None


def together(asked: Mentions, image: Mentions, audio: Mentions) -> float:
    """0..1: whether a picture and a recording are of one thing.

    A picture shows no sound, so what they have in common is what the instruction asked to be seen and to be
    heard: the geometric mean of how far each is that. Where it does not say both, what is left is their
    number: as many sounds as objects go together best. Grows with each of the two agreements.
    """
    if asked.objects and asked.sounds:
        shown = seen_alike(asked.objects, image.objects)
        return float((shown * heard_alike(asked.sounds, audio.sounds)) ** 0.5)
    few, many = sorted((len(image.objects), len(audio.sounds)))
    return few / many if many else 0.0


def _right(question: Question, scene: Scene, about: About) -> bool | None:
    """Whether the choice that the prompt makes right is right for the scene; None for questions of others."""
    choices = split_choices(question.choice)
    if choices is None or not any(
        family.pattern.fullmatch(question.question.strip()) for family in FAMILIES[about]
    ):
        return None
    return answer(question.question, choices, scene, about) == question.answer


def _of(part: MediaPart | None) -> Mentions | None:
    scene = None if part is None else scene_behind(part)
    return None if scene is None else stated(scene)


def _first(case: Case, kind: type[MediaPart]) -> MediaPart | None:
    return next((part for part in media_of(case.response) if isinstance(part, kind)), None)
