"""Gemini models, behind Google's API or a server that speaks it."""
