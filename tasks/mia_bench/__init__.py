"""MIA-Bench."""
