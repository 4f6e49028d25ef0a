"""Convolutional networks that classify videos, named part by part as in PyTorchVideo, so that its checkpoints fit."""
