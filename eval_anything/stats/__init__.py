"""How scores become metrics: means, groups, intervals, and what is done with missing verdicts."""
