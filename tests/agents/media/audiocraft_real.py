"""The audiocraft generator with audiocraft itself: `make test-audiocraft`, which builds its environment.

Not collected with the others: the environment takes minutes and 1.5 GB. The model is audiocraft's own for
tests, with random weights.
"""

import asyncio
import os

import pytest

from eval_anything.agents.media.audiocraft import AudiocraftModel, AudiocraftOptions
from eval_anything.errors import UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.values import Message, Params, Request, Text

# The test model alone splits its prompts by spacy, which the environment does not have.
SPACY = """
class Word(str):
    is_stop = is_punct = False
    text = lemma_ = property(str)

def load(language):
    return lambda text: [Word(word) for word in text.split()]
"""


@pytest.fixture
def python(tmp_path):
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "spacy.py").write_text(SPACY)
    wrapper = tmp_path / "python"
    real = os.environ["AUDIOCRAFT_PYTHON"]
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/packages exec {real} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def ask(tmp_path, python, name, *seeds):
    async def go():
        model = AudiocraftModel(name, AudiocraftOptions(python=python, duration_s=1.0, device="cpu"))
        try:
            await model.start(ModelContext(store=ArtifactStore(tmp_path / "media")))
            return [(await model.generate(asked(seed))).parts[0].artifact for seed in seeds]
        finally:
            await model.stop()

    return asyncio.run(go())


def asked(seed):
    return Request(
        messages=(Message("user", (Text("a dog barks"),)),),
        output_modalities=("audio",),
        params=Params(seed=seed),
    )


def test_sounds_by_seed(tmp_path, python):
    one, again, other = ask(tmp_path, python, "debug", 1, 1, 2)
    assert one.sha256 == again.sha256 != other.sha256
    assert one.sample_rate == 32000 and one.duration_s == pytest.approx(1.0, abs=0.05)
    assert one.lineage.details["audiocraft"] == "1.3.0"


def test_a_model_that_is_not_there_is_told(tmp_path, python):
    with pytest.raises(UsageError, match="did not start"):
        ask(tmp_path, python, str(tmp_path / "musicgen-nowhere"), 1)
