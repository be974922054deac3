"""What a run found: built from its journal alone, shown as tables, exported sample by sample."""
