"""AMG's files: `data/<config>/test.json` and `EvalAnything-Selection_Synergy.parquet`.

They come from the hub, a folder of the same layout, or a twin. Rows hold either a prompt (text, image) or one
question about what is made of a prompt (audio, video); questions are grouped by prompt here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eval_anything.errors import DataError, MissingExtra
from eval_anything.hub import download
from eval_anything.suggest import unknown
from eval_anything.synth.questions import LETTERS, Letter
from eval_anything.task import DataSource
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
    root = download(repository, revision, (file,))
    commit = "" if root.name == revision else f" (commit {root.name})"
    return Found(root, f"hub data set {repository} at {revision}{commit}")


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """The prompts of text_instruct and image_instruct. Raises DataError naming file, row and field."""
    rows = _records(path, _PromptRow)
    _check_unique(path, "prompt_id", [row.prompt_id for row in rows])
    return tuple(Prompt(row.prompt_id, row.prompt) for row in rows)


def read_questions(path: Path) -> tuple[Prompt, ...]:
    """The prompts of audio_instruct and video_instruct with their questions, in the order of first mention.

    Raises DataError naming file, row and field.
    """
    prompts: dict[str, tuple[str, list[Question]]] = {}
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(_records(path, _QuestionRow)):
        prompt, questions = prompts.setdefault(row.prompt_id, (row.prompt, []))
        where = f"{path}, row {number} (prompt_id {row.prompt_id!r})"
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
    path = root / PARQUET
    rows = _parquet_rows(path) if path.is_file() else None
    if rows is None:
        path = root / JSONL
        rows = _json_rows(path)
    found = tuple(_record(path, number, row, Instruction) for number, row in enumerate(rows))
    for number, row in enumerate(found):
        _check_votes(f"{path}, row {number} (instruction_uid {row.instruction_uid!r})", row.selection)
    _check_unique(path, "instruction_uid", [row.instruction_uid for row in found])
    return found


def revision_of(records: Sequence[msgspec.Struct]) -> str:
    """Hash of the rows that are used: the same for the same rows, in whatever file they came."""
    return hashlib.sha256(msgspec.json.encode(records, order="deterministic")).hexdigest()[:16]


def _records(path: Path, kind: type[R]) -> list[R]:
    return [_record(path, number, row, kind) for number, row in enumerate(_json_rows(path))]


def _record(path: Path, number: int, value: Any, kind: type[R]) -> R:
    where = f"{path}, row {number}"
    if isinstance(value, dict):
        value = {
            name: str(v) if name.endswith("_id") and isinstance(v, int) and not isinstance(v, bool) else v
            for name, v in value.items()
        }
        where += "".join(
            f" ({name} {value[name]!r})" for name in ("prompt_id", "instruction_uid") if name in value
        )
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        raise DataError(f"{where}: {fault}") from None


def _json_rows(path: Path) -> list[Any]:
    """The rows of a JSON list or of JSON lines."""
    try:
        text = path.read_bytes()
        read = msgspec.json.Decoder()
        rows = read.decode(text) if text.lstrip()[:1] == b"[" else read.decode_lines(text)
    except FileNotFoundError:
        expected = f"{instruction_file('text')} (image, audio, video likewise) and {PARQUET} or {JSONL}"
        raise DataError(f"{path}: not there; AMG's folder holds {expected}") from None
    except (OSError, msgspec.MsgspecError, RecursionError) as fault:
        raise DataError(f"{path}: neither a JSON list nor JSON lines: {fault}") from None
    if not rows:
        raise DataError(f"{path}: no rows")
    return list(rows)


def _parquet_rows(path: Path) -> list[Any] | None:
    """The file's rows; None where pyarrow is not installed and the same rows lie beside it as JSON lines."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        if path.with_name(JSONL).is_file():
            return None
        raise MissingExtra(
            f"{path}: reading parquet needs pyarrow: pip install 'eval-anything[hub]'"
        ) from None
    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as fault:
        first = str(fault).strip().splitlines()[0]
        raise DataError(f"{path}: not readable as parquet: {first}") from None
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


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


def _check_unique(path: Path, field: str, values: Sequence[str]) -> None:
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            raise DataError(f"{path}, row {number}: {field} {value!r} occurs twice")
        seen.add(value)
