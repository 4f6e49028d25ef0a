"""Styles learnt from painted frames of a video, after Texler et al. (SIGGRAPH 2020)."""
