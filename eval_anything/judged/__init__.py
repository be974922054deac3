"""Judges judged: how far their verdicts can be relied on."""
