"""Lessons from elsewhere in the project: AMU's twin, preference data, agents, judges' questions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from random import Random

from eval_anything.agents.text_protocol import TextProtocolAgent, TextProtocolOptions
from eval_anything.prompts import PromptSet, fill
from eval_anything.synth import questions
from eval_anything.synth.describe import article, listed, look, objects_phrase, sounds_phrase
from eval_anything.synth.question_families import About
from eval_anything.synth.scene import Scene
from eval_anything.tasks import amg
from eval_anything.tasks.amg import twin as amg_twin
from eval_anything.tasks.amg.data import COMBINATIONS
from eval_anything.tasks.amu.twin_instructions import INSTRUCTIONS
from eval_anything.tasks.amu.twin_perception import PERCEPTION, PERCEPTION_VIDEO
from eval_anything.tasks.amu.twin_question import Question, in_digits
from eval_anything.tasks.amu.twin_reasoning import REASONING
from eval_anything.tasks.amu.twin_safety import safety
from eval_anything.values import Message, Modality, Request, Text
from eval_anything_train.data import twin_answers, twin_feedback
from eval_anything_train.data.twin_answers import Reply
from eval_anything_train.llf.templates import FOLDER as LLF_PROMPTS
from eval_anything_train.scenes.lesson import Lesson, Need


def amu(rng: Random, video: bool) -> tuple[Scene, Lesson]:
    """A question of AMU's twin about a scene of its own."""
    if rng.random() < 0.15:
        return safe(rng, danger=rng.random() < 0.5, video=video)
    draw = rng.random()
    perception = PERCEPTION_VIDEO if video else PERCEPTION
    families = perception if draw < 0.4 else REASONING if draw < 0.75 else INSTRUCTIONS
    return lesson(rng.choice(families)(rng, video))


def safe(rng: Random, *, danger: bool, video: bool = False) -> tuple[Scene, Lesson]:
    """A question of AMU's twin that is to be declined (`danger`) or answered."""
    return lesson(safety(rng, video, danger=danger))


def lesson(question: Question) -> tuple[Scene, Lesson]:
    """A question of AMU's twin with all answers that its annotators could give."""
    answers = (*question.full, *question.terse, question.answer)
    made = Lesson(
        kind=f"AMU {question.family}".replace("_", " "),
        group="other",
        turns=(question.text,),
        answers=answers if question.exact else tuple(dict.fromkeys((*answers, *map(in_digits, answers)))),
        needs="both",
    )
    return question.scene, made


def preference(scene: Scene, what: About, rng: Random) -> Lesson:
    """A question of the preference data's twin."""
    _, question, draft = twin_answers.asked(scene, what, rng)
    told = draft(rng, 0).text
    return Lesson(
        kind=f"preference {what}", group="other", turns=(question,), answers=(told,), needs=_need(what)
    )


def again(scene: Scene, what: About, rng: Random) -> Lesson:
    """A question answered, criticised (or the model just asked to go over it), and answered again."""
    _, question, draft = twin_answers.asked(scene, what, rng)
    first = draft(rng, rng.choice((0, 1, 1, 2)))
    advised = rng.random() < 0.8
    told = twin_feedback.feedback(first, rng).text if advised else ""
    asked = fill(_prompts()["refine" if advised else "alone"], {"feedback": told}).strip()
    better = _corrected(first, draft, rng)
    return Lesson(
        kind="again" if advised else "again alone",
        group="other",
        turns=(question, first.text, asked),
        answers=(better,),
        needs=_need(what),
    )


def _corrected(first: Reply, draft: Callable[[Random, int], Reply], rng: Random) -> str:
    """A right answer; the first one itself where it was right."""
    return draft(rng, 0).text if first.mistakes else first.text


@functools.cache
def _prompts() -> PromptSet:
    return PromptSet(LLF_PROMPTS, ("refine", "alone"))


def choice(scene: Scene, about: About, rng: Random) -> Lesson:
    """A question with four options, to be answered by a letter."""
    posed = questions.ask(scene, rng, about=about)
    values = {"question": posed.text, "choice": questions.choices_text(posed.choices)}
    return Lesson(
        kind=f"choice {about}",
        group="other",
        turns=(fill(_judge()["user"], values).strip(),),
        answers=(posed.answer,),
        needs=_need(about),
    )


def judge_system() -> str:
    """What a judge of AMG is told that answers questions about a medium."""
    return _judge()["system"]


@functools.cache
def _judge() -> PromptSet:
    return PromptSet(Path(amg.__file__).parent / "audio_judge", ("system", "user"))


def missing(scene: Scene, gone: Need, rng: Random) -> Lesson:
    """A question about what is not given."""
    medium = "video" if scene.video else "picture"
    lack = medium if gone == "seen" else "recording"
    asked = {
        "seen": (f"How many objects does the {medium} show?", f"Describe the {medium}.", "What can you see?"),
        "heard": ("How many sounds can be heard?", "Describe the recording.", "What can you hear?"),
    }
    return Lesson(
        kind=f"missing {gone}",
        group="missing",
        turns=(rng.choice(asked["seen" if gone == "seen" else "heard"]),),
        answers=(f"I was given no {lack}.", f"There is no {lack}, so I cannot say."),
        needs="nothing",
    )


def _need(about: About) -> Need:
    return "heard" if about == "audio" else "seen"


def writing(rng: Random) -> Lesson:
    """A prompt of AMG's instruction following in writing."""
    scene = amg_twin.draw("text", rng)
    prompt = amg_twin.PROMPTS["text"](scene, rng)
    looks, heard = listed([article(look(obj)) for obj in scene.objects]), sounds_phrase(scene.sounds)
    told = next(text for start, text in _written(scene, looks, heard).items() if prompt.startswith(start))
    return _agent("writing", prompt, told)


def _written(scene: Scene, looks: str, heard: str) -> dict[str, str]:
    """What is answered, by how the prompt begins."""
    return {
        "Describe": f"The picture shows {objects_phrase(scene)}. There is nothing else in it.",
        "Write two sentences": f"Here I see {looks}. That is all there is.",
        "Write a short story": f"One night a child woke up and heard {heard}. Then all was still again.",
        "Write a very short poem": f"By day I see {looks},\nby night I hear {heard}.",
        "Explain": f"With your eyes you see {looks}. With your ears you hear {heard}.",
    }


_ALL: tuple[Modality, ...] = ("text", "image", "audio")


def _request(asked: tuple[Modality, ...], required: tuple[Modality, ...]) -> Request:
    messages = (Message("user", (Text(""),)),)
    return Request(messages=messages, output_modalities=asked, required_modalities=required)


REQUESTS: dict[str, Request] = {
    "selection": _request(_ALL, ()),
    "synergy": _request(_ALL, _ALL),
    "image": _request(("image",), ("image",)),
    "audio": _request(("audio",), ("audio",)),
    "video": _request(("video",), ("video",)),
}
"""What AMG asks an agent for, by task."""


@functools.cache
def agent_system(name: str) -> str:
    """What the model is told as an agent, for one of REQUESTS."""
    told: str = TextProtocolAgent(TextProtocolOptions()).system(REQUESTS[name])
    return told


def agent(name: str, rng: Random) -> Lesson:
    """A request to an agent, and the reply in the text protocol."""
    if name in ("selection", "synergy"):
        wanted = rng.choice(COMBINATIONS)
        request = amg_twin.instruction(wanted, rng)
        chosen = wanted if name == "selection" else "tia"
        seen, heard = objects_phrase(request.scene), sounds_phrase(request.scene.sounds)
        slots = {
            "response": f"There is {seen}, and one hears {heard}." if "t" in chosen else "None",
            "image_instruction": seen if "i" in chosen else "None",
            "audio_instruction": heard if "a" in chosen else "None",
        }
        return _agent(name, request.text, _form(slots))
    modality: Modality = REQUESTS[name].output_modalities[0]
    scene = amg_twin.draw(modality, rng)
    told = sounds_phrase(scene.sounds) if modality == "audio" else objects_phrase(scene)
    return _agent(name, amg_twin.PROMPTS[modality](scene, rng), _form({f"{modality}_instruction": told}))


def _form(slots: dict[str, str]) -> str:
    lines = [f"[[{name}]]: {told}" for name, told in slots.items()]
    return "\n".join(("[output_format]", *lines, "[/output_format]"))


def _agent(name: str, prompt: str, told: str) -> Lesson:
    return Lesson(kind=f"AMG {name}", group="other", turns=(prompt,), answers=(told,), needs="nothing")
