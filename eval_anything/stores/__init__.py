"""What a run keeps on disk: its journal, its manifest, and the cache that runs share."""
