"""Two runs compared on the samples that both have."""
