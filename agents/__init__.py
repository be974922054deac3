"""Tool-calling agents, and the media tools that they call."""
