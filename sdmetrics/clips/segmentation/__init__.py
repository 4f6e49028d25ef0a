"""Clips from data sets with segmentation masks."""
