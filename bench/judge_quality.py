"""How far the offline judge of AMU's twin agrees with what is known of answers: prints a table.

Each item of the twin is answered in ways of which it is known that one is better than the other: right; right
but for one word; by one who only sees; by one who only hears; with the right answer to another item of the
same kind. The judge rates them without knowing.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from random import Random

import eval_anything
from eval_anything.synth.describe import NUMBERS
from eval_anything.synth.home import twin_folder
from eval_anything.synth.scene import COLOURS, SHAPES, TIMBRES
from eval_anything.tasks.amu.answerer import Truth, truthful_answer
from eval_anything.tasks.amu.task import AMU
from eval_anything.tasks.amu.twin import read_truth

WAYS = ("right", "one word wrong", "only seen", "only heard", "of another item")
KNOWN = (*(("right", worse) for worse in WAYS[1:]), *((one, "of another item") for one in WAYS[1:4]))
"""Which is better than which."""
_WORDS = (COLOURS, SHAPES, TIMBRES, NUMBERS[1:9], [str(n) for n in range(1, 9)])


def answers(truths: dict[str, Truth]) -> dict[str, dict[str, str]]:
    """By way and item."""
    rng = Random("others")
    kin: dict[str, list[str]] = {}
    for key, truth in truths.items():
        kin.setdefault(truth.family, []).append(key)
    found: dict[str, dict[str, str]] = {way: {} for way in WAYS}
    for key, truth in truths.items():
        found["right"][key] = truth.answer
        if (wrong := with_one_word_wrong(truth.answer, rng)) is not None:
            found["one word wrong"][key] = wrong
        found["only seen"][key] = truthful_answer(truth, ("image", "video"))
        found["only heard"][key] = truthful_answer(truth, ("audio",))
        others = [o for o in kin[truth.family] if truths[o].answer != truth.answer]
        if others:
            found["of another item"][key] = truths[rng.choice(others)].answer
    return found


def with_one_word_wrong(text: str, rng: Random) -> str | None:
    """A colour, shape, sound or number in place of another; None where there is none."""
    places = [
        (match, words)
        for words in _WORDS
        for match in re.finditer(rf"\b({'|'.join(words)})(?=s?\b)", text, re.IGNORECASE)
    ]
    if not places:
        return None
    match, words = rng.choice(places)
    other = rng.choice([word for word in words if word != match.group(1).lower()])
    new = other.upper() if match.group().isupper() else other
    return f"{text[: match.start()]}{new}{text[match.end() :]}"


def rated(said: dict[str, str], n: int, seed: int, folder: Path) -> dict[str, float]:
    """The judge's rating of each."""
    file = folder / "said.jsonl"
    file.write_text("".join(json.dumps({"id": k, "response": v}) + "\n" for k, v in said.items()))
    eval_anything.evaluate(
        model=f"replay/{file}",
        tasks=["amu"],
        data=f"synthetic:n={n},seed={seed}",
        judge="reference",
        out=folder / "run",
        error_budget=1.0,
    )
    rows = map(json.loads, (folder / "run" / "samples_amu.jsonl").open())
    return {row["id"]: row["score"] for row in rows if row["score"] is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=492, help="items of the twin")
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    truths = read_truth(twin_folder(AMU, asked.n, asked.seed))
    ratings = {}
    for way, said in answers(truths).items():
        with tempfile.TemporaryDirectory() as folder:
            ratings[way] = rated(said, asked.n, asked.seed, Path(folder))
    print("| answers | mean rating (1 to 10) | items |\n|---|---|---|")
    for way, found in ratings.items():
        print(f"| {way} | {sum(found.values()) / len(found):.2f} | {len(found)} |")
    print("\n| better | worse | judge agrees | ties |\n|---|---|---|---|")
    for one, other in KNOWN:
        both = ratings[one].keys() & ratings[other].keys()
        wins = sum(ratings[one][key] > ratings[other][key] for key in both)
        ties = sum(ratings[one][key] == ratings[other][key] for key in both)
        print(f"| {one} | {other} | {100 * wins / len(both):.1f} % | {100 * ties / len(both):.1f} % |")


if __name__ == "__main__":
    main()
