"""Scoring a model: accuracy, segmentation, centre bias of a data set."""
