"""What processes that train one model together tell each other."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def gathered(tensor: Tensor) -> list[Tensor]:
    """Return every process's tensor of this shape, by rank; of a process that trains alone, its own.

    Examples
    --------
    >>> gathered(torch.tensor([8]))
    [tensor([8])]
    """
    if not _together():
        return [tensor]
    parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, tensor.contiguous())
    return parts


def rank() -> int:
    """Return the number of this process among those that train together."""
    return distributed.get_rank() if _together() else 0


def _together() -> bool:
    """Whether several processes train together."""
    return distributed.is_available() and distributed.is_initialized()
