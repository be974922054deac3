"""Leaderboards: submissions, comparable rows, rank intervals, and the static site."""
