"""AMG's files: `data/<config>/test.json` and `EvalAnything-Selection_Synergy.parquet`.

They come from the hub, a folder of the same layout, or a twin. Rows hold either a prompt (text, image) or one
question about what is made of a prompt (audio, video); questions are grouped by prompt here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eval_anything.errors import DataError, MissingExtra
from eval_anything.hub import download
from eval_anything.records import check_unique, json_rows, parquet_rows, place, records
from eval_anything.suggest import unknown
from eval_anything.synth.questions import LETTERS, Letter
from eval_anything.task import DataSource
from eval_anything.tasks.amg import about
from eval_anything.values import Modality

INSTRUCTIONS = "PKU-Alignment/EvalAnything-InstructionFollowing"
INSTRUCTIONS_REVISION = "main"
"""No full commit id is known to this project; 57c37ec was the newest commit when it was written. The notes of
a run name the commit that was read, and the fingerprint holds a hash of the rows."""
SELECTION = "PKU-Alignment/EvalAnything-Selection_Synergy"
SELECTION_REVISION = "5f2a0e1e2ec72211eda6d1959f77e540973d47db"
"""The commit that this project was written against."""
PARQUET = "EvalAnything-Selection_Synergy.parquet"
JSONL = "EvalAnything-Selection_Synergy.jsonl"
"""The same rows, readable without pyarrow; written by the twin."""
COMBINATIONS = ("t", "i", "a", "ta", "ti", "ia", "tia")
"""Text, image, audio, in the order and spelling of the benchmark's `selection`."""
_LAYOUT = f"data/MODALITY_instruct/test.json for text, image, audio and video, and {PARQUET} or {JSONL}"
_SUM_TOLERANCE = 0.02

R = TypeVar("R", bound=msgspec.Struct)


class Question(msgspec.Struct, frozen=True):
    """One multiple-choice question about what was made of a prompt."""

    question_id: str
    question: str
    choice: str
    """All options in one string."""
    answer: Letter


class Prompt(msgspec.Struct, frozen=True):
    """One prompt, with the questions about what is made of it (audio and video)."""

    prompt_id: str
    prompt: str
    questions: tuple[Question, ...] = ()


class Instruction(msgspec.Struct, frozen=True):
    """One instruction of selection and synergy."""

    instruction_uid: str
    instruction: str
    selection: dict[str, float]
    """Share of 25 voters for each of COMBINATIONS."""


class _PromptRow(msgspec.Struct, frozen=True):
    prompt_id: str
    prompt: str


class _QuestionRow(msgspec.Struct, frozen=True):
    prompt_id: str
    prompt: str
    question_id: str
    question: str
    choice: str
    answer: str


class Found(msgspec.Struct, frozen=True):
    """Where a data set lies."""

    root: Path
    note: str = ""


def instruction_file(modality: Modality) -> str:
    return f"data/{modality}_instruct/test.json"


def locate(source: DataSource, repository: str, revision: str, file: str) -> Found:
    """The folder of the data set; from the hub, only `file` is fetched, or DataError says why not."""
    if source.kind != "hub":
        assert source.path is not None
        return Found(source.path)
    root = download(repository, revision, (file,), licence=about.LICENCE)
    commit = "" if root.name == revision else f" (commit {root.name})"
    return Found(root, f"hub data set {repository} at {revision}{commit}")


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """The prompts of text_instruct and image_instruct. Raises DataError naming file, row and field."""
    rows = _rows(path, _PromptRow, "prompt_id")
    check_unique(path, "prompt_id", [row.prompt_id for row in rows])
    return tuple(Prompt(row.prompt_id, row.prompt) for row in rows)


def read_questions(path: Path) -> tuple[Prompt, ...]:
    """The prompts of audio_instruct and video_instruct with their questions, in the order of first mention.

    Raises DataError naming file, row and field.
    """
    prompts: dict[str, tuple[str, list[Question]]] = {}
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(_rows(path, _QuestionRow, "prompt_id")):
        prompt, questions = prompts.setdefault(row.prompt_id, (row.prompt, []))
        where = place(path, number, row, "prompt_id")
        if row.prompt != prompt:
            raise DataError(f"{where}: field `prompt` differs from an earlier row of the same prompt_id")
        if (row.prompt_id, row.question_id) in seen:
            raise DataError(f"{where}: question_id {row.question_id!r} occurs twice")
        seen.add((row.prompt_id, row.question_id))
        questions.append(Question(row.question_id, row.question, row.choice, _letter(where, row.answer)))
    return tuple(Prompt(key, prompt, tuple(asked)) for key, (prompt, asked) in prompts.items())


def read_instructions(root: Path) -> tuple[Instruction, ...]:
    """The rows of selection and synergy, from the parquet file or from JSON lines of the same rows.

    Raises DataError naming file, row and field, MissingExtra where only the parquet file is there and pyarrow
    is not.
    """
    path, rows = _instruction_rows(root)
    found = tuple(records(path, rows, Instruction, "instruction_uid"))
    for number, row in enumerate(found):
        _check_votes(place(path, number, row, "instruction_uid"), row.selection)
    check_unique(path, "instruction_uid", [row.instruction_uid for row in found])
    return found


def _rows(path: Path, kind: type[R], key: str) -> list[R]:
    return records(path, json_rows(path, _LAYOUT), kind, key)


def _instruction_rows(root: Path) -> tuple[Path, list[Any]]:
    """The parquet file's rows, or those of the JSON lines where there is no parquet file or no pyarrow."""
    path, plain = root / PARQUET, root / JSONL
    if path.is_file():
        try:
            return path, parquet_rows(path, _LAYOUT)
        except MissingExtra:
            if not plain.is_file():
                raise
    return plain, json_rows(plain, _LAYOUT)


def _letter(where: str, text: str) -> Letter:
    letter = text.strip().upper()
    for known in LETTERS:
        if letter == known:
            return known
    raise DataError(f"{where}: {unknown('answer', text, LETTERS)}")


def _check_votes(where: str, votes: Mapping[str, float]) -> None:
    for name in votes:
        if name not in COMBINATIONS:
            raise DataError(f"{where}: {unknown('key of `selection`', name, COMBINATIONS)}")
    for name in COMBINATIONS:
        if name not in votes:
            raise DataError(f"{where}: `selection` lacks the key {name!r}")
        if not 0 <= votes[name] <= 1:
            raise DataError(f"{where}: `selection.{name}` is {votes[name]}, not a share from 0 to 1")
    total = math.fsum(votes.values())
    if abs(total - 1) > _SUM_TOLERANCE:
        raise DataError(f"{where}: the shares in `selection` sum to {total:.3f}, not to 1")
