"""InterleavedBench."""
