"""Results that others report (papers, leaderboards): values to compare with, apart from measured ones.

They are kept as YAML, one table as its source prints it to one entry under `tables`:

    tables:
      - task: air_bench_chat            # a task or group of ours
        source: {title: AIR-Bench, where: "README, chat leaderboard", url: "https://..."}
        status: published
        profile: original               # of the task, where it is known
        scale: [1, 10]                  # ends; null: open
        metrics: [speech, average]
        rows:
          - {model: Qwen2-Audio, values: [7.18, 6.93], remarks: {average: "..."}}

Values stand in the order metrics x settings, metrics first; null where the source has no number.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from eval_anything.errors import DataError
from eval_anything.suggest import unknown

Status = Literal["published", "recomputed", "presumed"]
"""published: the number as its source prints it. recomputed: computed by us from printed numbers. presumed:
printed, but what it stands for (the model, the setting) is our reading of the source."""

S = TypeVar("S", bound=msgspec.Struct)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a number is printed."""

    title: str
    """Paper or project, so that it can be found."""
    where: str
    """The table, or the file."""
    url: str = ""


class Reported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One number that others report."""

    task: str
    metric: str
    model: str
    setting: str = ""
    """How the model was made: base, DPO, PPO + LLF; empty where the source tells none apart."""
    value: float
    low: float | None = None
    high: float | None = None
    """Ends of the scale; None: open."""
    profile: str = ""
    """The task's profile under which it was measured; empty where that is not known."""
    status: Status
    source: Source
    remarks: str = ""


class ReportedResults(abc.ABC):
    """A collection of reported results; packages name theirs under `eval_anything.reported_results`."""

    name: ClassVar[str]
    summary: ClassVar[str]

    @abc.abstractmethod
    def results(self) -> Iterable[Reported]:
        """All of them, in the order in which they are shown."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    task: str
    source: Source
    status: Status
    profile: str = ""
    scale: tuple[float | None, float | None]
    metrics: tuple[str, ...]
    settings: tuple[str, ...] = ("",)
    remarks: str = ""
    rows: tuple[Any, ...]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str
    values: tuple[float | None, ...]
    remarks: dict[str, str] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tables: tuple[Any, ...]


def read(path: Path) -> tuple[Reported, ...]:
    """All numbers of a YAML file, in its order. Raises DataError naming file, table, row and field."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise DataError(f"{path}: not readable as YAML: {' '.join(str(fault).split())}") from None
    found: dict[tuple[str, ...], Reported] = {}
    for number, raw in enumerate(_as(_File, content, str(path)).tables):
        table = _as(_Table, raw, f"{path}, table {number}")
        for one in _numbers(table, f"{path}, table {number} ({table.task}, {table.source.where})"):
            key = (one.task, one.profile, one.source.where, one.model, one.setting, one.metric)
            if key in found:
                raise DataError(f"{path}, table {number}, row {one.model!r}: {one.metric!r} is given twice")
            found[key] = one
    return tuple(found.values())


def _numbers(table: _Table, where: str) -> Iterable[Reported]:
    columns = [(metric, setting) for metric in table.metrics for setting in table.settings]
    for raw in table.rows:
        name = raw.get("model") if isinstance(raw, dict) else raw
        row = _as(_Row, raw, f"{where}, row {name!r}")
        if len(row.values) != len(columns):
            raise DataError(
                f"{where}, row {name!r}: field `values`: {len(row.values)} of them; expected {len(columns)}"
                f" ({len(table.metrics)} metrics x {len(table.settings)} settings)"
            )
        known = {*table.metrics, *table.settings} - {""}
        for column in row.remarks:
            if column not in known:
                raise DataError(f"{where}, row {name!r}: field `remarks`: {unknown('column', column, known)}")
        for (metric, setting), value in zip(columns, row.values, strict=True):
            if value is None:
                continue
            _check_scale(value, table.scale, f"{where}, row {name!r}: field `values`: {metric}")
            remarks = (table.remarks, row.remarks.get(metric, ""), row.remarks.get(setting, ""))
            yield Reported(
                task=table.task,
                metric=metric,
                model=row.model,
                setting=setting,
                value=value,
                low=table.scale[0],
                high=table.scale[1],
                profile=table.profile,
                status=table.status,
                source=table.source,
                remarks=" ".join(remark for remark in remarks if remark),
            )


def _check_scale(value: float, scale: tuple[float | None, float | None], where: str) -> None:
    low = -math.inf if scale[0] is None else scale[0]
    high = math.inf if scale[1] is None else scale[1]
    if not math.isfinite(value) or not low <= value <= high:
        raise DataError(f"{where}: {value} is not on the scale from {low:g} to {high:g}")


def _as(kind: type[S], value: Any, where: str) -> S:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        raise DataError(f"{where}: {fault}") from None
