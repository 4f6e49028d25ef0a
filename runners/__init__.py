"""Runners: run a probe or a torch module."""
