"""Identities of measurements: their fingerprints, and what differs between two."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """One line for each leaf that differs: `model.params.temperature: 0.0 -> 0.7`."""
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            lines.append(f"{prefix}{name}: {before!r} -> {after!r}")
    return lines


def fingerprint(identity: dict[str, Any]) -> str:
    """16 hex digits of the sha256 of the canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(identity, order="deterministic")).hexdigest()[:16]
