"""Judges that score images: decoding, batching."""
