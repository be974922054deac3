"""Draw docs/images/amu-twin.png: eight items of AMU's synthetic twin, with what is seen, heard and asked.

python docs/make_twin_sheet.py
"""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eval_anything.synth import audio, image
from eval_anything.synth.scene import Scene
from eval_anything.tasks.amu.data import Record, read_records
from eval_anything.tasks.amu.twin import read_truth, write_twin

OUT = Path(__file__).parent / "images" / "amu-twin.png"
FAMILIES = (
    *("count", "motion_and_first", "place_and_order", "counted_off"),
    *("one_for_each", "capitals", "declined", "answered"),
)
SEED = 4
CARD, HEIGHT, MARGIN = 620, 224, 12
PAPER, INK, MUTED = "#ffffff", "#16191f", "#5b6472"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        twin = Path(folder) / "twin"
        write_twin(twin, None, SEED)
        truth = read_truth(twin)
        records = {truth[r.question_id].family: r for r in read_records(twin / "config.json", "all")}
    rows = (len(FAMILIES) + 1) // 2
    sheet = Image.new("RGB", (2 * CARD + 3 * MARGIN, rows * (HEIGHT + MARGIN) + MARGIN), "#e6e8ec")
    for i, family in enumerate(FAMILIES):
        record = records[family]
        at = (MARGIN + i % 2 * (CARD + MARGIN), MARGIN + i // 2 * (HEIGHT + MARGIN))
        sheet.paste(card(record, truth[record.question_id].scene), at)
    OUT.parent.mkdir(exist_ok=True)
    sheet.save(OUT, optimize=True)


def card(record: Record, scene: Scene) -> Image.Image:
    paper = Image.new("RGB", (CARD, HEIGHT), PAPER)
    pen = ImageDraw.Draw(paper)
    pen.text((MARGIN, 6), record.evaluation_dimension, MUTED, font(13))
    x = MARGIN
    for frame in shown(scene):
        paper.paste(frame, (x, 28))
        x += frame.width + 4
    if x < CARD - 2 * MARGIN:
        wave(pen, scene, (x + 8, 28, CARD - MARGIN, 28 + image.EDGE))
    asked = textwrap.wrap(f"Q: {record.question}", 92)
    answered = f"A: {record.annotations[0].answer}".splitlines()
    y = 36 + image.EDGE
    for line in asked:
        pen.text((MARGIN, y), line, INK, font(12))
        y += 17
    for line in [short for long in answered for short in textwrap.wrap(long, 92)]:
        pen.text((MARGIN, y + 4), line, MUTED, font(12))
        y += 17
    return paper


def shown(scene: Scene) -> list[Image.Image]:
    """The picture, or the first, middle and last frames of a clip."""
    if not scene.video:
        return [image.draw(scene)]
    frames = image.frames(scene)
    return [Image.fromarray(frames[i]) for i in (0, len(frames) // 2, len(frames) - 1)]


def wave(pen: ImageDraw.ImageDraw, scene: Scene, box: tuple[int, int, int, int]) -> None:
    """The waveform on a common scale of three seconds, each sound with its name."""
    left, top, right, bottom = box
    width, middle, reach = right - left, (top + bottom) / 2, (bottom - top) / 2
    samples = np.zeros(3 * audio.RATE, np.float32)
    made = audio.samples(scene)
    samples[: len(made)] = made
    pen.line((left, middle, right, middle), fill="#c9ced6")
    for x, part in enumerate(np.array_split(samples, width)):
        low, high = float(part.min()), float(part.max())
        if high - low > 1e-3:
            pen.line((left + x, middle - high * reach, left + x, middle - low * reach), fill="#2f6fde")
    for i, sound in enumerate(scene.sounds):
        x = left + (audio.LEAD_S + i * audio.SLOT_S) / 3 * width
        pen.text((x, bottom - 14), sound.timbre, MUTED, font(11))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main()
