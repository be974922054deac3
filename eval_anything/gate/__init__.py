"""The gate on checkpoints: is the candidate worse than the baseline, as far as this can be told?"""
