"""Why feedback helps or does not: what answers with known mistakes become, by whose feedback.

    python plugins/train/experiments/refined.py --loop runs/closed-loop --out runs/refined

The worse answers of the preference data's twin, on scenes of another seed, are answered again by the initial
model: after the annotator's feedback, which is true; after that of the loop's feedback model; without any. A
Markdown table says how far each is true (0..1). In the loop first answers are the model's own, whose mistakes
nobody knows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from closed_loop import SUBTASK
from held_out import faithful

import eval_anything
from eval_anything.synth.question_families import About
from eval_anything.values import Message, Params, Sample, Text
from eval_anything_train.data import source, twin, twin_feedback
from eval_anything_train.llf.templates import Templates
from eval_anything_train.values import Prompt, text_of

SEED = 77
"""Of the rows: none of the loop's."""
_PARAMS = Params(temperature=1.0, max_tokens=96)


def wrong(about: About, n: int) -> list[tuple[Prompt, twin.Truth]]:
    """Prompts, with what is known of them, whose worse answer has mistakes."""
    short = SUBTASK[about]
    prompts = source.load(f"synthetic:{short},n={n},seed={SEED}", Prompt).records
    truths = twin.read_truth(twin.twin_folder(short, n, SEED), short)
    both = ((prompt, truths[int(prompt.id.rpartition("-")[2])]) for prompt in prompts)
    return [(prompt, truth) for prompt, truth in both if worse(truth).mistakes]


def worse(truth: twin.Truth) -> twin.Reply:
    return truth.replies[2 - truth.winner]


def again(
    rows: Sequence[tuple[Prompt, twin.Truth]], critiques: Mapping[str, str] | None, model: str, out: Path
) -> dict[str, str]:
    """New answers by prompt, after `critiques` (None: after none)."""
    templates, samples = Templates(), []
    for prompt, truth in rows:
        said = None if critiques is None else critiques[prompt.id]
        asked = templates.again(prompt.messages, (Text(worse(truth).text),), said)
        samples.append(Sample(id=prompt.id, messages=asked))
    return _texts(model, samples, out)


def criticised(rows: Sequence[tuple[Prompt, twin.Truth]], model: str, out: Path) -> dict[str, str]:
    """What a feedback model says of the worse answers."""
    templates = Templates()
    asked = [
        Sample(id=p.id, messages=templates.critique(p.messages, (Text(worse(t).text),), instruct=False))
        for p, t in rows
    ]
    return _texts(model, asked, out)


def _texts(model: str, samples: Sequence[Sample], out: Path) -> dict[str, str]:
    found = eval_anything.respond(model, samples, out=out, params=_PARAMS, seed=0)
    return {one.sample.id: one.response.text for one in found}


def row(name: str, texts: Mapping[str, str], rows: Sequence[tuple[Prompt, twin.Truth]], about: About) -> str:
    """Of the table: how far the answers are true, and how often they are truer and less true than before."""
    before, after = [], []
    for prompt, truth in rows:
        question = _question(prompt.messages)
        before.append(faithful(question, worse(truth).text, truth.scene, about))
        after.append(faithful(question, texts[prompt.id], truth.scene, about))
    n = len(rows)
    up = sum(b > a for a, b in zip(before, after, strict=True)) / n
    down = sum(b < a for a, b in zip(before, after, strict=True)) / n
    return f"| {name} | {sum(after) / n:.3f} | {100 * up:.0f} % | {100 * down:.0f} % |"


def _question(messages: Sequence[Message]) -> str:
    return text_of(tuple(part for part in messages[-1].parts if isinstance(part, Text)))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loop", required=True, help="folder of closed_loop.py's runs")
    parser.add_argument("--out", required=True, help="folder of the answers")
    parser.add_argument("--model", default="embedded/omni", help="what answers again")
    parser.add_argument("--about", choices=sorted(SUBTASK), default="video")
    parser.add_argument("--n", type=int, default=300, help="rows of the twin")
    asked = parser.parse_args(arguments)
    rows, out = wrong(asked.about, asked.n), Path(asked.out)
    true = {p.id: twin_feedback.feedback(worse(t), Random(p.id)).text for p, t in rows}
    print("| answers | true, 0 to 1 | truer than the first | less true |\n|---|---|---|---|")
    print(row("the first, with mistakes", {p.id: worse(t).text for p, t in rows}, rows, asked.about))
    own = [Sample(id=p.id, messages=p.messages) for p, _ in rows]
    print(row("the model's own first answer", _texts(asked.model, own, out / "own"), rows, asked.about))
    print(row("again, without feedback", again(rows, None, asked.model, out / "alone"), rows, asked.about))
    told = again(rows, true, asked.model, out / "true")
    print(row("again, after true feedback", told, rows, asked.about))
    for folder in sorted(Path(asked.loop).glob("seed-*")):
        said = criticised(rows, f"hf/{folder}/llf/feedback/final", out / folder.name / "critiques")
        texts = again(rows, said, asked.model, out / folder.name / "again")
        print(row(f"again, after the feedback model's, {folder.name}", texts, rows, asked.about))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
