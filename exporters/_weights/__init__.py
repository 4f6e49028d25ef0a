"""Checkpoints: reading, renaming and loading weights."""
