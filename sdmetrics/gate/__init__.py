"""Gating a release: requirements on a run, and limits on how far it may fall behind a baseline."""
