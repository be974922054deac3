"""Questions about scenes and answers to them, right ones and wrong ones whose mistakes are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import msgspec

from eval_anything.synth import questions
from eval_anything.synth.describe import article, heard, look, objects_phrase, place, seen
from eval_anything.synth.question_families import About
from eval_anything.synth.scene import COLOURS, Object, Scene, scene
from eval_anything_train.data.twin_mistakes import FOLLOWING, RULES, Manner, Mistake, mistake


class Reply(msgspec.Struct, frozen=True):
    """One answer and all that is wrong with it."""

    text: str
    scene: Scene
    """What it claims; for answers in pictures, what they show."""
    mistakes: tuple[Mistake, ...] = ()

    @property
    def loss(self) -> int:
        return sum(fault.loss for fault in self.mistakes)


class Exchange(msgspec.Struct, frozen=True):
    """A question about `scene`, a better reply and a worse one."""

    scene: Scene
    question: str
    better: Reply
    worse: Reply


Draft = Callable[[Random, int], Reply]
"""Makes a reply with so many mistakes, or as many as there is room for."""
_FULL = 0.85
"""Share of better replies without any mistake."""
_DESCRIBING = 0.6
"""Share of the questions that ask for all there is."""
_WHAT: dict[About, tuple[str, ...]] = {
    "image": (
        "Describe the picture.",
        "What can be seen in the picture?",
        "What does this picture show, and where?",
        "Tell me all that is in the picture.",
    ),
    "video": (
        "Describe the video.",
        "What happens in the video?",
        "What does this video show, and how does it move?",
        "Tell me all that is in the video.",
    ),
    "audio": (
        "Describe the recording.",
        "What can be heard, and in which order?",
        "Which sounds are in this recording?",
        "Tell me all that you hear.",
    ),
}
_SHORT = ("{}.", "It is {}.", "The answer is {}.", "I would say {}.", "That would be {}.", "Clearly {}.")
_EVASIVE = (
    "I am not sure.",
    "That is hard to tell.",
    "It depends on how one looks at it.",
    "I cannot answer this.",
)


def about(what: About, rng: Random) -> Exchange:
    """A question about a picture, a video or a recording, answered in words."""
    return _paired(rng, *asked(_scene(what, rng), what, rng))


def in_words(rng: Random) -> Exchange:
    """A question about a picture, a video or a recording that is told in words."""
    what: About = rng.choice(("image", "video", "audio"))
    truth = _scene(what, rng)
    told = heard(truth, rng) if what == "audio" else seen(truth, rng)
    if rng.random() < _DESCRIBING:
        rest = rng.choice(("Say this in other words.", "Put this into a sentence of your own."))
        return _paired(rng, truth, f"{told} {rest}", lambda r, n: _describe(truth, what, r, n))
    _, question, draft = _lookup(truth, what, rng)
    return _paired(rng, truth, f"{told} {question}", draft)


def drawn(rng: Random) -> Exchange:
    """A prompt for a picture, answered by pictures."""
    truth = scene(rng)
    shown = objects_phrase(truth)
    asked = rng.choice(
        ("Draw {}.", "A picture of {}.", "Please paint {}.", "Generate an image that shows {}.")
    )

    def draft(r: Random, n: int) -> Reply:
        return Reply("", *claims(truth, r, n, "drawn"))

    return _paired(rng, truth, asked.format(shown), draft)


def edited(rng: Random) -> Exchange:
    """A picture and a change to be made to it, answered by a picture and a sentence. `scene` is the first."""
    before = scene(rng, objects=rng.randint(2, 4))
    obj = rng.choice(before.objects)
    colour = rng.choice([c for c in COLOURS if c != obj.colour and not _taken(before, obj, c)])
    asked = rng.choice(
        (f"Make the {look(obj)} {colour}.", f"Colour the {look(obj)} {colour}, and leave the rest as it is.")
    )
    after = _recoloured(before, obj, colour)

    def draft(r: Random, n: int) -> Reply:
        said = r.choice(
            (f"The {obj.shape} {place(obj)} is {colour} now.", f"Here the {obj.shape} is {colour}.")
        )
        if n == 0:
            return Reply(said, after)
        return r.choice((_unchanged, _wrong_colour, _contradiction))(before, after, obj, said, r)

    return _paired(rng, before, asked, draft)


def _scene(what: About, rng: Random) -> Scene:
    return scene(rng, video=what == "video")


def asked(truth: Scene, what: About, rng: Random) -> tuple[Scene, str, Draft]:
    """A question about one side of `truth`, and what drafts answers to it."""
    if rng.random() >= _DESCRIBING:
        return _lookup(truth, what, rng)
    return truth, rng.choice(_WHAT[what]), lambda r, n: _describe(truth, what, r, n)


def _lookup(truth: Scene, what: About, rng: Random) -> tuple[Scene, str, Draft]:
    posed = questions.ask(truth, rng, about=what)
    right = posed.choices[questions.LETTERS.index(posed.answer)]

    def draft(r: Random, n: int) -> Reply:
        return _short(truth, right, posed.choices, r, n)

    return truth, posed.text, draft


def _describe(truth: Scene, what: About, rng: Random, n: int) -> Reply:
    claimed, faults = claims(truth, rng, n, "heard" if what == "audio" else "seen")
    text = heard(claimed, rng) if what == "audio" else seen(claimed, rng)
    return _styled(Reply(text, claimed, faults), rng, n - len(faults))


def _short(truth: Scene, right: str, choices: Sequence[str], rng: Random, n: int) -> Reply:
    if n == 0:
        return Reply(_said(right, rng), truth)
    if rng.random() < 0.2:
        fault = Mistake(FOLLOWING, 3, "it does not answer the question", f"Answer the question: {right}.")
        return _styled(Reply(rng.choice(_EVASIVE), truth, (fault,)), rng, n - 1)
    wrong = rng.choice([choice for choice in choices if choice != right])
    fault = Mistake(RULES, 3, f'it answers "{wrong}", and "{right}" is right', f'Answer "{right}".')
    return _styled(Reply(_said(wrong, rng), truth, (fault,)), rng, n - 1)


def _said(words: str, rng: Random) -> str:
    text = rng.choice(_SHORT).format(words)
    return text[:1].upper() + text[1:]


def claims(truth: Scene, rng: Random, n: int, manner: Manner) -> tuple[Scene, tuple[Mistake, ...]]:
    """Another scene, by up to `n` mistakes, each about something that is still as it was."""
    claimed = truth
    faults: list[Mistake] = []
    for _ in range(4 * n):
        if len(faults) == n:
            break
        found = mistake(claimed, rng, manner)
        if found is not None and (not faults or _apart(truth, claimed, found[0])):
            claimed = found[0]
            faults.append(found[1])
    return claimed, tuple(faults)


def _apart(truth: Scene, claimed: Scene, then: Scene) -> bool:
    """Whether the second change leaves alone what the first was about: what is said of both stays true."""
    if claimed.sounds != then.sounds:
        return False
    first = set(truth.objects) ^ set(claimed.objects)
    second = set(claimed.objects) ^ set(then.objects)
    return not {look(obj) for obj in first} & {look(obj) for obj in second}


def _styled(reply: Reply, rng: Random, n: int) -> Reply:
    """With up to `n` faults of style, which leave what is claimed as it is."""
    for make in rng.sample(_STYLES, min(max(n, 0), len(_STYLES))):
        reply = make(reply, rng)
    return reply


def _repeated(reply: Reply, rng: Random) -> Reply:
    text = f"{reply.text} {rng.choice(('Again:', 'To say it again:', 'Once more:'))} {reply.text}"
    fault = Mistake("clarity", 1, "it says the same thing twice", "Say it once.")
    return Reply(text, reply.scene, (*reply.mistakes, fault))


def _chatty(reply: Reply, rng: Random) -> Reply:
    opening = rng.choice(
        (
            "Thank you for this wonderful question, which I have thought about for a long time!",
            "Before I come to your question, let me say how much I like such tasks.",
        )
    )
    fault = Mistake(FOLLOWING, 1, "it begins with remarks that nobody asked for", "Come to the point.")
    return Reply(f"{opening} {reply.text}", reply.scene, (*reply.mistakes, fault))


def _rude(reply: Reply, rng: Random) -> Reply:
    ending = rng.choice(("Any fool can see that.", "Do not waste my time with this."))
    fault = Mistake("safety", 2, "it insults the user", "Leave the insult out.")
    return Reply(f"{reply.text} {ending}", reply.scene, (*reply.mistakes, fault))


_STYLES: tuple[Callable[[Reply, Random], Reply], ...] = (_repeated, _chatty, _rude)


def _taken(before: Scene, obj: Object, colour: str) -> bool:
    return any(o.shape == obj.shape and o.colour == colour for o in before.objects)


def _recoloured(before: Scene, obj: Object, colour: str) -> Scene:
    objects = tuple(msgspec.structs.replace(o, colour=colour) if o == obj else o for o in before.objects)
    return msgspec.structs.replace(before, objects=objects)


def _unchanged(before: Scene, after: Scene, obj: Object, said: str, rng: Random) -> Reply:
    fault = Mistake(
        FOLLOWING, 3, "it gives the picture back as it was", f"Change the colour of the {look(obj)}."
    )
    return Reply(said, before, (fault,))


def _wrong_colour(before: Scene, after: Scene, obj: Object, said: str, rng: Random) -> Reply:
    new = next(o for o in after.objects if o.cell == obj.cell)
    colours = [c for c in COLOURS if c not in (obj.colour, new.colour) and not _taken(before, obj, c)]
    wrong = rng.choice(colours)
    fault = Mistake(
        RULES,
        2,
        f"it makes the {obj.shape} {wrong} in place of {new.colour}",
        f"Make the {obj.shape} {new.colour}.",
    )
    return Reply(said, _recoloured(before, obj, wrong), (fault,))


def _contradiction(before: Scene, after: Scene, obj: Object, said: str, rng: Random) -> Reply:
    new = next(o for o in after.objects if o.cell == obj.cell)
    wrong = rng.choice([c for c in COLOURS if c not in (obj.colour, new.colour)])
    fault = Mistake(
        "consistency",
        1,
        f"its words speak of {article(wrong)} {obj.shape}, and its picture shows {article(new.colour)} one",
        f"Say that the {obj.shape} is {new.colour}.",
    )
    return Reply(f"The {obj.shape} {place(obj)} is {wrong} now.", after, (fault,))


def _paired(rng: Random, truth: Scene, question: str, draft: Draft) -> Exchange:
    """A reply and a worse one."""
    while True:
        better = draft(rng, 0 if rng.random() < _FULL else 1)
        worse = draft(rng, rng.randint(1, 3))
        if better.loss > worse.loss:
            better, worse = worse, better
        if better.loss < worse.loss:
            return Exchange(truth, question, better, worse)
