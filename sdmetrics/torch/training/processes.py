"""Communication between the processes that train one model together."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def is_distributed() -> bool:
    """Return whether `torch.distributed` is initialised."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Return the rank of this process; 0 in a single-process training."""
    return distributed.get_rank() if is_distributed() else 0


def is_first_process() -> bool:
    """Return whether this process has rank 0.

    Examples
    --------
    >>> is_first_process()
    True
    """
    return rank() == 0


def all_gather(tensor: Tensor) -> list[Tensor]:
    """Return the tensors of all processes, by rank. They must have the same shape.

    Examples
    --------
    >>> all_gather(torch.tensor([8]))
    [tensor([8])]
    """
    if not is_distributed():
        return [tensor]
    parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, tensor.contiguous())
    return parts
