"""The synergy judge: how well two modalities of an answer work together, by a reward model."""
