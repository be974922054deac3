"""The report: one static folder that opens from disk, with no network."""
