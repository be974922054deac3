"""eval-anything: evaluation of any-to-any models."""
