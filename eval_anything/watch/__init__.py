"""A training run watched: each new checkpoint is scored once, and its line added to a history."""
