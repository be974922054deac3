"""The worker itself, with a package that has audiocraft's interface in place of audiocraft."""

import json
import os
import subprocess
import sys
import textwrap
import wave
from pathlib import Path

import pytest

from eval_anything.agents.media.audiocraft import AudiocraftModel

MODELS = """
    import torch
    import torchtext.data  # what only training needs may be absent
    from xformers import ops
    from torchmetrics import Metric

    class Own(Metric):
        pass

    class _Generator:
        sample_rate = 8000

        @classmethod
        def get_pretrained(cls, name, device=None):
            print("a library that prints")
            if "absent" in name:
                raise ValueError("no such model\\nsecond line")
            return cls()

        def set_generation_params(self, duration):
            self.duration = duration

        def generate(self, prompts):
            if prompts[0] == "nan":
                return torch.full((1, 1, 10), float("nan"))
            if prompts[0] == "forever":
                import time
                time.sleep(600)
            return torch.rand(1, 1, round(self.duration * 8000)) - 0.5

    class AudioGen(_Generator):
        pass

    class MusicGen(_Generator):
        pass
"""


@pytest.fixture
def start(tmp_path):
    package = tmp_path / "packages" / "audiocraft"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "1.3.0"\n')
    (package / "models.py").write_text(textwrap.dedent(MODELS))
    (tmp_path / "out").mkdir()
    processes = []

    def go(name):
        process = subprocess.Popen(
            [sys.executable, AudiocraftModel.worker, name, "--out", tmp_path / "out", "--device", "cpu"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "packages")},
            text=True,
        )
        processes.append(process)
        return process

    yield go
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        if not process.stdin.closed:
            process.stdin.close()


def ask(process, **request):
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_it_says_hello_makes_files_by_seed_and_ends_with_its_input(start):
    process = start("facebook/audiogen-medium")
    hello = json.loads(process.stdout.readline())["hello"]
    assert hello["class"] == "AudioGen" and hello["audiocraft"] == "1.3.0" and hello["sample_rate"] == 8000
    made = [
        Path(ask(process, id=i, prompt="a dog", seed=seed, duration_s=0.25)["path"]).read_bytes()
        for i, seed in enumerate((1, 1, 2))
    ]
    assert made[0] == made[1] != made[2]
    reply = ask(process, id=7, prompt="a dog", seed=3, duration_s=0.25)
    with wave.open(reply["path"]) as file:
        assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (8000, 2000, 1)
    assert "not finite" in ask(process, id=8, prompt="nan", seed=3, duration_s=0.25)["error"]
    process.stdin.write(json.dumps({"id": 9, "prompt": "forever", "seed": 1, "duration_s": 1}) + "\n")
    process.stdin.close()
    assert process.wait(10) == 0


def test_a_model_that_cannot_be_loaded_is_told_in_one_line(start):
    process = start("facebook/musicgen-absent")
    assert json.loads(process.stdout.readline()) == {"error": "ValueError: no such model"}
    assert process.wait(20) == 1
