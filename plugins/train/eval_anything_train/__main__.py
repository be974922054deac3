"""`python -m eval_anything_train dpo ...` is `eval-anything train dpo ...`, for `accelerate launch -m`."""

from __future__ import annotations

import sys

from eval_anything.cli.main import main

sys.exit(main(["train", *sys.argv[1:]]))
