"""Optical flow: estimation, files, cache, colour coding and jitter."""
