"""Optical flow: estimated, read, cached, coded by colour and jittered."""
