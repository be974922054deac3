"""Stands in for vLLM in tests of what starts it: see `entrypoints/cli/main.py`."""
