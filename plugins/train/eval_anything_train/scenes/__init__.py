"""A small omni model from scratch: it learns to see, hear and speak on synthetic scenes."""
