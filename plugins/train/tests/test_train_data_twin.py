"""The twin of align-anything: read by the real reader, the same bytes, and true in every word of feedback."""

import hashlib
from collections import Counter
from pathlib import Path
from random import Random

import pyarrow.parquet
import pytest
from data_kit import text_of

from eval_anything.errors import DataError, UsageError
from eval_anything.media.probe import probe
from eval_anything.synth.describe import look
from eval_anything.synth.parse import mentions
from eval_anything.synth.scene import CELLS, COLOURS, SHAPES, Scene
from eval_anything.values import File
from eval_anything_train.data import twin_answers
from eval_anything_train.data.dataset import fingerprint
from eval_anything_train.data.source import load
from eval_anything_train.data.twin import AGREEMENT, read_truth, write_twin
from eval_anything_train.data.twin_feedback import BEST
from eval_anything_train.data.twin_rows import KINDS
from eval_anything_train.values import Critiqued, Pair

SHORTS = tuple(KINDS)
N = 60


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twins")
    for short in SHORTS:
        write_twin(folder / short, short, N, seed=3)
    return folder


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("short", SHORTS)
def test_same_arguments_same_bytes_and_another_seed_another_twin(
    short: str, twins: Path, tmp_path: Path
) -> None:
    write_twin(tmp_path / "again", short, N, seed=3)
    assert digest(tmp_path / "again") == digest(twins / short)
    write_twin(tmp_path / "again", short, N, seed=3)  # is left as it is
    with pytest.raises(DataError, match="exists and does not hold this twin"):
        write_twin(tmp_path / "again", short, N, seed=4)
    write_twin(tmp_path / "other", short, N, seed=4)
    assert not set(digest(tmp_path / "other").values()) & set(digest(twins / short).values())


@pytest.mark.parametrize("short", SHORTS)
def test_the_real_reader_reads_it_and_finds_the_truth(short: str, twins: Path) -> None:
    data = load(str(twins / short), Pair)
    truth = read_truth(twins / short, short)
    assert (data.subtask, data.notes, len(data.records), len(truth)) == (short, (), N, N)
    for pair, true in zip(data.records, truth, strict=True):
        replies = true.replies if true.winner == 1 else true.replies[::-1]
        better, worse = replies
        assert true.named == true.winner
        assert better.loss < worse.loss
        assert (text_of(pair.chosen), text_of(pair.rejected)) == (better.text, worse.text)
        for dimension, rates in pair.rates.items():
            lost = [sum(m.loss for m in r.mistakes if m.dimension == dimension) for r in replies]
            assert rates == tuple(max(0, BEST - loss) for loss in lost)
        assert {m.dimension for r in replies for m in r.mistakes} <= set(pair.rates)
        for reply, feedback in zip(replies, (pair.feedback_chosen, pair.feedback_rejected), strict=True):
            assert feedback is not None
            for fault in reply.mistakes:
                assert fault.critique[1:] in feedback.critique  # its first letter is a capital there
                assert fault.refinement in feedback.refinement
            assert feedback.refinement


@pytest.mark.parametrize("short", SHORTS)
def test_media_are_real_and_of_the_stated_kind(short: str, twins: Path) -> None:
    for pair in load(str(twins / short), Pair, limit=10).records:
        for part in (*pair.messages[0].parts, *pair.chosen, *pair.rejected):
            if isinstance(part, File):
                assert probe(Path(part.path), part.modality).mime.startswith(part.modality)


@pytest.mark.parametrize("short", SHORTS)
def test_splits_have_nothing_in_common(short: str, twins: Path) -> None:
    train, val = load(str(twins / short), Pair), load(str(twins / short), Pair, split="val")
    assert len(val.records) == N // 10
    assert len(read_truth(twins / short, short, "val")) == N // 10
    scenes = [read_truth(twins / short, short, split) for split in ("train", "val")]
    both = {(t.scene, t.replies) for t in scenes[0]} & {(t.scene, t.replies) for t in scenes[1]}
    assert not both
    assert fingerprint(train.records) != fingerprint(val.records)


def says(scene: Scene, text: str) -> bool:
    """Whether a description tells of just what is in `scene`, and where."""
    found = mentions(text)
    if found.sounds:
        return [s.timbre for s in found.sounds] == [s.timbre for s in scene.sounds]
    told = {(o.shape, o.colour, o.size, o.cells, o.motion or "still") for o in found.objects}
    return told == {(o.shape, o.colour, o.size, (o.cell,), o.motion) for o in scene.objects}


@pytest.mark.parametrize("what", ["image", "video", "audio"])
def test_descriptions_claim_what_they_are_said_to_claim(what: twin_answers.About) -> None:
    rng = Random(5)
    right = wrong = 0
    for _ in range(400):
        exchange = twin_answers.about(what, rng)
        if exchange.question not in twin_answers._WHAT[what]:
            continue
        for reply in (exchange.better, exchange.worse):
            once = reply.text.split("gain:")[0].split("nce more:")[0].split("o say it")[0]
            assert says(reply.scene, once), (reply.text, reply.scene)
            content = [
                m for m in reply.mistakes if m.dimension in ("objective_rules", "information_richness")
            ]
            same = (reply.scene.objects, reply.scene.sounds) == (
                exchange.scene.objects,
                exchange.scene.sounds,
            )
            assert same == (not content)
            right, wrong = right + same, wrong + (not same)
    assert right > 100
    assert wrong > 100


@pytest.mark.parametrize("make", [twin_answers.drawn, lambda rng: twin_answers.about("video", rng)])
def test_what_is_said_of_mistakes_is_true_of_the_scene(make: twin_answers.Callable) -> None:  # type: ignore[type-arg]
    """What a critique says that there is, is there; what it says is not there, is not."""
    rng = Random(9)
    seen = Counter[str]()
    for _ in range(600):
        exchange = make(rng)
        looks = {look(obj) for obj in exchange.scene.objects}
        full = {look(obj, size=True) for obj in exchange.scene.objects}
        claimed = {look(obj) for obj in exchange.worse.scene.objects}
        for fault in exchange.worse.mistakes:
            words = fault.critique
            if "leaves out the " in words:
                thing = words.partition("leaves out the ")[2]
                assert thing in full
                assert thing.partition(" ")[2] not in claimed
                seen["left out"] += 1
            for start, end in (("tells of ", " that is not there"), ("shows ", " that nobody asked for")):
                if words.startswith(f"it {start}"):
                    thing = words.removeprefix(f"it {start}").removesuffix(end).partition(" ")[2]
                    assert thing not in looks
                    assert thing in claimed
                    seen["added"] += 1
            for verb in ("it puts the ", "it takes the ", "it calls the ", "it has the "):
                thing = " ".join(words.removeprefix(verb).split()[:2]) if words.startswith(verb) else ""
                if thing:
                    assert thing in looks, words
                    seen["of something"] += 1
            if fault.refinement.startswith("Put the "):
                thing, _, where = fault.refinement[len("Put the ") : -1].partition(" in the ")
                assert (thing, where) in {(look(o), CELLS[o.cell]) for o in exchange.scene.objects}
    assert min(seen[name] for name in ("left out", "added", "of something")) > 20, seen


def test_answers_have_more_than_one_phrasing(twins: Path) -> None:
    texts = [text_of(pair.chosen) for pair in load(str(twins / "ti2t"), Pair).records]
    openings = {" ".join(text.split()[:2]) for text in texts}
    for word in (*COLOURS, *SHAPES):
        openings = {opening.lower().replace(word, "_") for opening in openings}
    assert len(openings) > 6
    critiques = [r.feedback.critique for r in load(str(twins / "ti2t"), Critiqued).records]
    assert len(set(critiques)) > N


@pytest.mark.parametrize("short", ["t2t", "ti2t"])
def test_the_annotator_agrees_with_the_truth_as_often_as_it_is_told_to(short: str, tmp_path: Path) -> None:
    share = AGREEMENT[short][0]
    write_twin(tmp_path / "told", short, 400, agreement=share)
    write_twin(tmp_path / "true", short, 400)
    told, true = read_truth(tmp_path / "told", short), read_truth(tmp_path / "true", short)
    assert [t.replies for t in told] == [t.replies for t in true]
    assert sum(t.named == t.winner for t in told) == round(400 * share)
    noisy, right = (load(str(tmp_path / name), Pair).records for name in ("told", "true"))
    for t, pair, other in zip(told, noisy, right, strict=True):
        if t.named == t.winner:
            assert pair == other
            continue
        assert (pair.chosen, pair.rejected) == (other.rejected, other.chosen)
        assert pair.rates == other.rates  # such an annotator rates the other answer so
        assert pair.feedback_chosen == other.feedback_rejected  # and the feedback stays with its answer
    halves = [sum(t.named == t.winner for t in told[i::2]) / 200 for i in (0, 1)]
    assert all(abs(half - share) < 0.08 for half in halves)


def test_the_columns_are_align_anythings(twins: Path) -> None:
    names = pyarrow.parquet.read_schema(twins / "ti2t" / "text-image-to-text" / f"train_{N}.parquet").names
    assert names[:2] == ["question", "image"]
    expected = {
        "response_1",
        "response_2",
        "res_1_from",
        "res_2_from",
        "overall_response",
        "overall_textfeedback",
    }
    for letter, dimension in (("p", "prompt_following"), ("o", "objective_rules"), ("c", "clarity")):
        expected |= {f"{letter}_response", f"{dimension}_rate_1", f"{letter}_rationale_2"}
    assert expected <= set(names)
    sound = pyarrow.parquet.read_schema(twins / "ta2t" / "text-audio-to-text" / f"train_{N}.parquet").names
    assert sound[:2] == ["prompt", "audio_path"]
    assert (twins / "tv2t" / "text-video-to-text" / "videos" / "train-0.mp4").is_file()
    names = pyarrow.parquet.read_schema(twins / "t2i" / "text-to-image" / f"train_{N}.parquet").names
    assert {"image_1", "image_2", "image_1_model", "p_image", "aesthetics_rate_1", "overall_image"} <= set(
        names
    )


def test_the_name_says_which_twin_and_what_it_is(tmp_path: Path) -> None:
    data = load("synthetic:t2t,n=20,seed=4,agreement=0.5", Pair)
    assert data.name == "synthetic:t2t,n=20,seed=4,agreement=0.5"
    assert data.synthetic
    assert data.notes == ("synthetic data: the twin of align-anything's text-to-text",)
    assert len(load("synthetic:t2t,n=20,split=val", Pair).records) == 2
    assert len(load("synthetic", Pair, n=5).records) == 5
    with pytest.raises(UsageError, match="t2a has no synthetic twin; these have"):
        write_twin(tmp_path / "x", "t2a", 3)
    assert not (tmp_path / "x").exists()
