"""The HPSv2 models as judges."""
