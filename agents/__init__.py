"""Tool-calling agents and the media tools that they call (none yet: see docs/architecture.md)."""
