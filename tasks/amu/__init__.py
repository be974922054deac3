"""AMU: all-modality understanding."""
