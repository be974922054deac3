"""Losses as functions of tensors alone."""
