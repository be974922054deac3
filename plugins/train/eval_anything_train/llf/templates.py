"""The words with which models are asked, as files: replaceable, and hashed into what they decide."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from eval_anything.errors import DataError
from eval_anything.prompts import PromptSet, fill, placeholders
from eval_anything.values import Message, Text
from eval_anything_train import feedback
from eval_anything_train.values import Answer

FOLDER = Path(__file__).parent / "prompts"
NAMES = ("refine", "alone", "instruct", "compare")
_FEEDBACK = "feedback"


class Templates:
    """What is said to the models of LLF."""

    def __init__(self, folder: str = "") -> None:
        """`folder`: its files replace those of the same name. Raises DataError for one that cannot be."""
        self.texts = PromptSet(FOLDER, NAMES, Path(folder).expanduser() if folder else None)
        for name in NAMES:
            own = placeholders((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
            if missing := sorted(own - placeholders(self.texts[name])):
                raise DataError(
                    f"prompt {name} from {folder}: no {{{missing[0]}}}: the model would not see it"
                )

    def digest(self, name: str) -> str:
        """16 hex digits of the sha256 of a template."""
        return hashlib.sha256(self.texts[name].encode()).hexdigest()[:16]

    def critique(self, messages: Sequence[Message], answer: Answer, *, instruct: bool) -> tuple[Message, ...]:
        """What the feedback model is asked about `answer`; with `instruct`, it is told what feedback is."""
        asked = feedback.question(messages, answer)
        if not instruct:
            return asked
        told = self.texts["instruct"].strip()
        if asked[0].role != "system":
            return (Message("system", (Text(told),)), *asked)
        # Chat templates know one system turn, and want it first.
        given = "\n".join(part.text for part in asked[0].parts if isinstance(part, Text))
        return (Message("system", (Text(f"{told}\n\n{given}"),)), *asked[1:])

    def again(self, messages: Sequence[Message], answer: Answer, critique: str | None) -> tuple[Message, ...]:
        """What the initial model is asked after its `answer`; `critique`: None where nobody gave feedback."""
        template = self.texts["alone" if critique is None else "refine"]
        told = fill(template, {_FEEDBACK: critique or ""})
        return (*messages, Message("assistant", answer), Message("user", (Text(told.strip()),)))
