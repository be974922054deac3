"""Who speaks in LLF: the initial model, the feedback model, the judge."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.base import local_path
from eval_anything.registry import Plugins
from eval_anything.run.endpoint import Endpoint, make_endpoint
from eval_anything.values import Modality
from eval_anything_train.llf.settings import NONE, TRAINED, LLFSettings

_IN_PROCESS = "hf"


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """A model as `eval-anything run` names it."""

    spec: str
    options: dict[str, Any]

    @property
    def in_process(self) -> bool:
        return self.spec.partition("/")[0] == _IN_PROCESS

    def endpoint(self) -> Endpoint:
        """Raises UsageError where there is no such model, or one of its options is wrong."""
        return make_endpoint(Plugins(), self.spec, self.options, 1, "llf")

    def check(self, inputs: Collection[Modality], outputs: Collection[Modality]) -> tuple[str, ...]:
        """Raises UsageError where it cannot be had, or does not take or give what it is to; returns its
        secrets. Nothing is asked and no weights are loaded."""
        endpoint = self.endpoint()
        can = endpoint.capabilities()
        for verb, wanted, known in (("take", inputs, can.inputs), ("give", outputs, can.outputs)):
            if lacking := [modality for modality in wanted if modality not in known]:
                raise UsageError(
                    f"{self.spec} does not {verb} {' and '.join(lacking)} (it {verb}s {', '.join(known)})"
                )
        secrets = endpoint.model.secrets()
        if any(secret in word for secret in secrets for word in sys.argv):
            raise UsageError(
                "a password on the command line would be written into manifests: put it into --config FILE"
            )
        return secrets


def initial(settings: LLFSettings) -> Speaker:
    """The model that is to be improved: the checkpoint in process, or a server of the same weights."""
    spec = settings.generator or f"{_IN_PROCESS}/{settings.model}"
    return _speaker(spec, settings.generator_options, settings)


def adviser(settings: LLFSettings, trained: Path) -> Speaker | None:
    """Who writes the feedback; None: nobody. `trained`: where the stage feedback leaves its model."""
    name = settings.feedback_model
    if name == NONE:
        return None
    if name == TRAINED:
        name = f"{_IN_PROCESS}/{trained}"
    elif local_path(name) is not None or name.partition("/")[0] not in Plugins().models.names():
        name = f"{_IN_PROCESS}/{name}"
    return _speaker(name, settings.feedback_options, settings)


def judge(settings: LLFSettings) -> Speaker | None:
    """The judging model; None: there is none, or one that is no model."""
    if "/" not in settings.compare:
        return None
    return _speaker(settings.compare, settings.compare_options, settings)


def _speaker(spec: str, given: dict[str, Any], settings: LLFSettings) -> Speaker:
    speaker = Speaker(spec=spec, options=given)
    if not speaker.in_process:
        return speaker
    ours = {name: getattr(settings, name) for name in ("device", "dtype", "max_frames", "fps")}
    return msgspec.structs.replace(speaker, options={**ours, **given})
