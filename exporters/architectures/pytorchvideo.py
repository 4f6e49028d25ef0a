"""Architectures that pytorchvideo builds."""

from __future__ import annotations

from sdmetrics.exporters.architectures.architecture import Architecture

ROWS: tuple[Architecture, ...] = ()
