"""Measuring the biases of a model: shards, settings, results, requirements."""
