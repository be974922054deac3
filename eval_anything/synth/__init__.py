"""The synthetic world: seeded scenes of known truth, true sentences about them, and real media files."""
