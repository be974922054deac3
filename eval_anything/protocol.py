"""A benchmark's judge as data: one folder with `protocol.yaml` and prompt templates, in several profiles.

    tasks/my_bench/task.py
    tasks/my_bench/judge/protocol.yaml     shape, model, parameters, scale, attempts, parse rule, order, swap
    tasks/my_bench/judge/system.md, user.md ...

A profile is what differs from the rest of the file: `original` is what the benchmark published, quirks
included; `align-anything` what the paper's authors ran; `corrected`, the default, is the original with its
quirks switched off where they make numbers wrong. Every quirk is described in the file, and shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

import msgspec

from eval_anything.errors import DataError, UsageError
from eval_anything.judge import Rubric, Side
from eval_anything.prompts import PromptSet
from eval_anything.suggest import unknown
from eval_anything.task import Task
from eval_anything.values import Modality, Params, Response, Sample, Score, part_modality

Profile = Literal["corrected", "original", "align-anything"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
FILE = "protocol.yaml"

R = TypeVar("R", bound=Rubric)


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a benchmark's answers are judged, in one profile."""

    shape: str
    """Judge of the registry: rubric, pair, components, aspects, multiple_choice, a reward model."""
    model: str = ""
    """The judging model that the protocol prescribes, provider/name; empty where the shape asks none."""
    params: Params = Params()
    scale: tuple[float, float] = (0, 1)
    """Ends included."""
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 3
    """How often a judge without a usable verdict is asked."""
    parse: str = "strict"
    """The shape's rule that reads its replies."""
    order: tuple[Side, Side] = ("reference", "response")
    """Shape pair: who is shown first."""
    swap: bool = False
    """Shape pair: whether the judge is asked in both orders."""
    media: bool = False
    """Whether the judge is shown the answer's media."""
    question_media: bool = False
    """Whether the judge is shown the question's media."""
    unparsed: float | None = None
    """What an answer without a usable verdict counts as; none: left out, and counted."""
    no_medium: float | None = None
    """What an answer without the medium that was asked for counts as; none: left out, and counted."""
    judge_options: dict[str, Any] = {}
    """Options of the judge that the profile sets (a reward model's version); -J wins."""
    quirks: frozenset[str] = frozenset()
    """What this profile does as published although it can make a number wrong."""

    @property
    def spec(self) -> str:
        """The judge that `--judge` would name: the model, or the shape where it asks none."""
        return self.model or self.shape

    def rubric(self, kind: type[R], **fields: Any) -> R:
        """A rubric of this protocol: scale, parameters, attempts and parse rule are filled in, `fields` are
        the sample's own."""
        known = {
            "low": self.scale[0],
            "high": self.scale[1],
            **{name: getattr(self, name) for name in ("attempts", "params", "parse", "media")},
            **{name: getattr(self, name) for name in ("question_media", "unparsed", "order", "swap")},
        }
        return kind(
            **{name: value for name, value in known.items() if name in kind.__struct_fields__}, **fields
        )


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """protocol.yaml, apart from the protocol's own fields."""

    templates: str = "."
    """Folder of the prompt templates, relative to this one; protocols of one shape may share theirs."""
    profiles: dict[Profile, dict[str, Any]] = {}
    differences: dict[str, str] = {}
    """By quirk, or by any other name: one sentence of what is published and what is done here."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in which the profiles differ."""

    name: str
    what: str
    profiles: tuple[Profile, ...]
    """The profiles that have the quirk; empty where it is none of the profiles' settings."""


def load(folder: Path, profile: Profile) -> Protocol:
    """The protocol in `folder`. Raises DataError naming the file and the field."""
    path = folder / FILE
    base, file = _read(path)
    fields = {**base, **file.profiles.get(profile, {})}
    try:
        found = msgspec.convert(fields, Protocol)
    except msgspec.ValidationError as fault:
        raise DataError(f"{path}, profile {profile}: {_named(str(fault))}") from None
    for quirk in found.quirks:
        if quirk not in file.differences:
            raise DataError(f"{path}, profile {profile}: {unknown('quirk', quirk, file.differences)}")
    return found


def templates(folder: Path) -> Path:
    """Where the prompt templates of the protocol in `folder` are."""
    return (folder / _read(folder / FILE)[1].templates).resolve()


def settings(folder: Path) -> dict[str, dict[Profile, Any]]:
    """By setting: its value in each profile, for the settings that are not the same in all."""
    found = {profile: msgspec.to_builtins(load(folder, profile)) for profile in PROFILES}
    names = [name for name in Protocol.__struct_fields__ if name != "quirks"]
    shown: dict[str, dict[Profile, Any]] = {
        name: {profile: found[profile][name] for profile in PROFILES} for name in names
    }
    return {
        name: values
        for name, values in shown.items()
        if any(v != values["corrected"] for v in values.values())
    }


def differences(folder: Path) -> list[Difference]:
    """Every difference that the protocol's file describes, in its order."""
    _, file = _read(folder / FILE)
    quirks = {profile: load(folder, profile).quirks for profile in PROFILES}
    return [
        Difference(name=name, what=what, profiles=tuple(p for p in PROFILES if name in quirks[p]))
        for name, what in file.differences.items()
    ]


def _read(path: Path) -> tuple[dict[str, Any], _File]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise DataError(f"{path}: {fault.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise DataError(f"{path}: not YAML: {fault}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: expected a mapping")
    for name in values:
        if name not in (*Protocol.__struct_fields__, *_File.__struct_fields__) or name == "quirks":
            raise DataError(f"{path}: {unknown('field', str(name), _known())}")
    own = {name: values[name] for name in _File.__struct_fields__ if name in values}
    try:
        file = msgspec.convert(own, _File)
    except msgspec.ValidationError as fault:
        raise DataError(f"{path}: {_named(str(fault))}") from None
    return {name: value for name, value in values.items() if name not in own}, file


def _known() -> list[str]:
    return [name for name in (*Protocol.__struct_fields__, *_File.__struct_fields__) if name != "quirks"]


def _named(fault: str) -> str:
    return fault.replace("Object contains unknown field", "unknown field")


class ProfileOptions(msgspec.Struct, frozen=True):
    """Options of every task whose judge is a protocol; a task's own add to them."""

    profile: Profile = "corrected"
    """corrected: the published protocol without the quirks that make numbers wrong. original: with them.
    align-anything: as the authors of Align Anything ran it."""


class ProtocolTask(Task):
    """A task whose judge is the folder `judge/` beside its module: prompts and protocol, in profiles where
    its options have one."""

    judge_folder: ClassVar[str] = "judge"
    Options = ProfileOptions

    def __init__(self, options: Any, prompts: Path | None = None) -> None:
        """Raises DataError where the folder is damaged, or `prompts` holds nothing that could replace any."""
        self.options = options
        folder = self.protocol_folder()
        self.protocol = load(folder, getattr(options, "profile", "corrected"))
        self.judge = self.protocol.shape
        self.protocol_judge = self.protocol.spec
        self.judge_options = self.protocol.judge_options
        folder = templates(folder)
        names = sorted(file.stem for file in folder.glob("*.md"))
        if prompts is not None and not names:
            raise UsageError(f"task {self.name} has no prompts that could be replaced: no model is asked")
        originals = {} if prompts is None else self.read_originals(prompts)
        self.prompts = PromptSet(folder, names, None if originals else prompts)
        if prompts is not None and originals:
            self.prompts.replace(originals, prompts.name)

    @classmethod
    def protocol_folder(cls) -> Path:
        return Path(inspect.getfile(cls)).parent / cls.judge_folder

    @property
    def judged(self) -> tuple[Modality, ...]:
        """The answer's modalities, and those of the question where the judge is shown its media."""
        question = self.inputs if self.protocol.question_media else ()
        return tuple(dict.fromkeys((*self.outputs, *question)))

    def read_originals(self, folder: Path) -> Mapping[str, str]:
        """The benchmark's own prompts from the files of a user's copy of it, as templates by our names; empty
        where `folder` holds none of those files. They are read as data and never executed."""
        return {}

    def without_medium(self, sample: Sample, response: Response) -> Score | None:
        """For `settled`: the verdict on an answer that lacks a medium of `required`, which is the protocol's
        `no_medium` if it has one. None where nothing is lacking."""
        held = {part_modality(part) for part in response.parts}
        for modality in self.required:
            if modality == "text" or modality in held:
                continue
            return failed_tool(response, modality) or Score(
                value=self.protocol.no_medium,
                state="no_response",
                reason=f"no {modality} in the answer",
                weight=self.weight(sample),
            )
        return None

    def identity(self) -> dict[str, Any]:
        protocol = msgspec.to_builtins(self.protocol)
        protocol["quirks"] = sorted(protocol["quirks"])
        return {"prompts": self.prompts.digest(), "protocol": protocol}


def failed_tool(response: Response, modality: Modality) -> Score | None:
    """For `settled`: no score where an agent chose `modality` and its tool made none, as an outage is never
    scored as the model's failure. None where that is not so."""
    held = {part_modality(part) for part in response.parts}
    if modality in held or modality not in response.selected:
        return None
    return Score(value=None, state="no_response", reason=f"the tool made no {modality}")
