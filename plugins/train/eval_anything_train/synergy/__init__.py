"""A small synergy judge from scratch: it learns which words, pictures and sounds go together."""
