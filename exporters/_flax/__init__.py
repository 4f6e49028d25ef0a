"""Hooks and replacements for Flax models."""
