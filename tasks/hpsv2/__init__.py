"""HPSv2."""
