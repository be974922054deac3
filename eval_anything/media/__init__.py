"""Media files: checked before use, kept by content, decoded for models."""
