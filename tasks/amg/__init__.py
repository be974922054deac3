"""AMG: all-modality generation."""
