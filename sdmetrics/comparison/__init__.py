"""Comparing runs: models, checkpoints, steps of a training."""
