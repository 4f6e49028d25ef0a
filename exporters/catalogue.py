"""Named architectures, exported with one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.exporters.architectures import pytorchvideo, torchvision, transformers
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.layers import suggest

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = {row.name: row for row in (*pytorchvideo.ROWS, *torchvision.ROWS, *transformers.ROWS)}


def find_architecture(name: str) -> Architecture:
    """Return an architecture by its name.

    Raises
    ------
    InputError
        If there is none of that name, with the nearest names.

    Examples
    --------
    >>> find_architecture("slowfast_r50_8x8").family
    'SlowFast'
    """
    if name not in ARCHITECTURES:
        raise InputError(f"the catalogue has no architecture {name!r}. {suggest(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build_random(architecture: Architecture) -> nn.Module:
    """Return the architecture's module in evaluation mode with random weights, the same each time."""
    torch = require("torch", extra="catalogue")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return architecture.build(architecture.inputs, architecture.classes).eval()


def export_architecture(architecture: Architecture, module: nn.Module, path: Path) -> Path:
    """Export a module that the architecture built, with its inputs and its layers by their names.

    Raises
    ------
    InputError
        As `sdmetrics.exporters.torch.export`.
    """
    from sdmetrics.exporters.torch import export

    names = {module_path: name for name, module_path in architecture.layers.items()}
    return export(module, architecture.inputs, list(names), path, names=names)
