"""Small tasks for lm-evaluation-harness, and both ways to run them: its own evaluator, and ours."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import tiny_models

import eval_anything
from eval_anything.models.hf import load
from eval_anything.results.values import TaskResult

CONFIGS = Path(__file__).parent / "tasks" / "lm_eval" / "configs"
CONTEXT = 1024
"""Tokens of the tiny model: few enough for a text to be cut into windows."""


def write_tasks(folder: Path) -> Path:
    """The configurations with data beside them."""
    folder.mkdir(parents=True)
    for path in CONFIGS.iterdir():
        if path.is_file():
            (folder / path.name).write_text(path.read_text().replace("FOLDER", str(folder)))
    rng = random.Random(5)
    for name, n in (("questions", 10), ("short", 6), ("examples", 9)):
        _write(folder / f"{name}.jsonl", [_question(rng) for _ in range(n)])
    pages = [" ".join(rng.choices(tiny_models.WORDS, k=n)) + "?" for n in (1500, 3, 60)]
    _write(folder / "texts.jsonl", [{"page": page} for page in pages])
    _write(folder / "instructions.jsonl", _instructions())
    return folder


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _question(rng: random.Random) -> dict[str, Any]:
    words = rng.sample(tiny_models.WORDS, 4)
    return {
        "question": f"{words[3]} or {words[0]}, {rng.randrange(100)}?",
        "answer": rng.choice("abcdefgh"),
        "long_answer": " ".join(words[:2]),
        "choices": [f"{word}{'s' * rng.randrange(3)}" for word in words[:3]],
        "gold": rng.randrange(3),
    }


def _instructions() -> list[dict[str, Any]]:
    """Rows as IFEval has them, of instructions that need no data of nltk."""
    frequency = {"letter": "a", "let_frequency": 2, "let_relation": "at least"}
    kinds: list[tuple[list[str], list[dict[str, Any]]]] = [
        (["punctuation:no_comma"], [{}]),
        (["length_constraints:number_words"], [{"relation": "at least", "num_words": 3}]),
        (["keywords:letter_frequency", "punctuation:no_comma"], [frequency, {}]),
        (["startend:quotation", "keywords:forbidden_words"], [{}, {"forbidden_words": ["red"]}]),
    ]
    return [
        {"key": n, "prompt": f"Write something about {n}.", "instruction_id_list": ids, "kwargs": kwargs}
        for n, (ids, kwargs) in enumerate(kinds * 2)
    ]


class Lab:
    """Both evaluators over the same checkpoint and the same tasks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tasks = write_tasks(root / "tasks")
        self.checkpoint = root / "model"
        self.checkpoint.mkdir()
        tiny_models.tiny_llama(self.checkpoint)
        config = json.loads((self.checkpoint / "config.json").read_text())
        config["max_position_embeddings"] = CONTEXT
        (self.checkpoint / "config.json").write_text(json.dumps(config))
        self._lm: Any = None

    def theirs(self, *names: str, **options: Any) -> dict[str, dict[str, Any]]:
        """lm-evaluation-harness's own numbers, by task or group and "metric,filter"."""
        load.libraries()
        import lm_eval
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

        if self._lm is None:
            self._lm = HFLM(pretrained=str(self.checkpoint), device="cpu", dtype="float32", batch_size=4)
        manager = TaskManager(include_path=str(self.tasks), include_defaults=False)
        found = lm_eval.simple_evaluate(
            self._lm,
            tasks=list(names),
            task_manager=manager,
            bootstrap_iters=0,
            log_samples=False,
            **options,
        )
        results: dict[str, dict[str, Any]] = found["results"]
        return results

    def ours(
        self, *names: str, model: str = "", out: str = "run", again: bool = False, **options: Any
    ) -> list[TaskResult]:
        """Our results; of the tiny checkpoint unless another model is named. `again`: go on with a run."""
        folder = self.root / out
        if not again:
            shutil.rmtree(folder, ignore_errors=True)
        if not model:
            model = f"hf/{self.checkpoint}"
            options.setdefault("model_options", {"dtype": "float32", "device": "cpu"})
        tasks = {"include_path": str(self.tasks), **options.pop("task_options", {})}
        named = [f"lm_eval:{name}" for name in names]
        return eval_anything.evaluate(model, named, out=folder, task_options=tasks, **options).tasks
