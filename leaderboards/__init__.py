"""Leaderboard definitions and reference results from papers (none yet: see docs/architecture.md)."""
