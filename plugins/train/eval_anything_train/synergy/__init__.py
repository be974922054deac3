"""A small synergy judge from scratch: it learns from preferences which words, pictures and sounds go together."""
