"""Clips of data sets with segmentation masks."""
