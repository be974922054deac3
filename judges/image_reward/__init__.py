"""The ImageReward model as a judge."""
