"""What is known to be right about prompts of the synthetic twin, for the offline judge."""

from __future__ import annotations

from eval_anything.errors import UsageError
from eval_anything.values import Reference
from eval_anything_train.data import source
from eval_anything_train.data.twin import read_truth


def references(spec: str) -> dict[str, tuple[Reference, ...]]:
    """By the id of each prompt of the data set `spec`: the replies without any mistake, if there are any.

    Raises UsageError for a data set whose truth is not known.
    """
    reader = source.open_reader(spec)
    if not reader.about.synthetic:
        raise UsageError(f"{spec}: no references are known: the offline judge needs synthetic data")
    (file,) = reader.about.files
    split = file.stem.partition("_")[0]
    truths = read_truth(file.parent.parent, reader.about.subtask, split)
    return {
        f"{file.stem}-{number}": tuple(
            Reference(text=reply.text) for reply in truth.replies if not reply.mistakes and reply.text
        )
        for number, truth in enumerate(truths)
    }
