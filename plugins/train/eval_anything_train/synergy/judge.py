"""The judge in training: loaded from its folder, written into another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from eval_anything.judges.synergy import config as configs
from eval_anything.judges.synergy import load as loading
from eval_anything.judges.synergy.prompt import Prompter
from eval_anything_train.synergy import carrier


class Judge:
    """What a method of this package is given in place of a policy."""

    frozen = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = configs.read(folder)
        self.model: Any = loading.load_model(folder, config, "cpu", "float32").float()
        self.model.requires_grad_(True).train()
        self.prompter = Prompter(loading.load_tokenizer(folder, config), config)
        self.pad = config.pad_token_id

    def save(self, folder: Path, dtype: str = "float32") -> None:
        """The whole judge, so that the harness's `synergy` judge loads it."""
        for path in self.folder.iterdir():
            if path.suffix == ".json":
                shutil.copyfile(path, folder / path.name)
        carrier.save(self.model, folder, dtype)
