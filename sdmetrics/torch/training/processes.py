"""Communication between the processes that train one model together."""

from __future__ import annotations

from typing import Any

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


class _Sum(torch.autograd.Function):
    """The sum over processes. Each process's share of the gradient is summed, too, since all depend on the result."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401, ARG004
        total = tensor.detach().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401, ARG004
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return the sum of the tensors of all processes, with a gradient that `DistributedDataParallel` makes exact.

    A loss of such sums is the same in every process, and the mean over processes, which `DistributedDataParallel`
    takes of their gradients, is the gradient of that loss.

    Examples
    --------
    >>> sum_over_processes(torch.tensor([8.0]))
    tensor([8.])
    """
    if not is_distributed():
        return tensor
    total: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
    return total
