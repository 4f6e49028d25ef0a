"""Named architectures, exported with one call."""

from __future__ import annotations

from sdmetrics.errors import InputError
from sdmetrics.exporters.architectures import pytorchvideo, torchvision, transformers
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.layers import suggest

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
