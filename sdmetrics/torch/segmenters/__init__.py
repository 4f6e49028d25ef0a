"""Segmenters: two-stream networks and VisTR."""
