"""The precision in which a live module computes: found out once, and the same in every run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def autocast_of(device: torch.device) -> torch.dtype | None:
    """Return the type that the surrounding `torch.autocast` converts to, or None if there is none.

    Examples
    --------
    >>> import torch
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     autocast_of(torch.device("cpu"))
    torch.bfloat16
    """
    import torch

    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def coarsest(module: nn.Module, computed: Iterable[torch.dtype]) -> str:
    """Return the name of the coarsest floating-point type among a module's weights and what it `computed`.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> coarsest(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).half()), [torch.float32])
    'float16'
    """
    import torch

    weights = (value.dtype for value in [*module.parameters(), *module.buffers()] if value.is_floating_point())
    types = [*weights, *computed] or [torch.float32]
    return str(max(types, key=lambda dtype: torch.finfo(dtype).eps)).removeprefix("torch.")


@contextmanager
def computing(device: torch.device, autocast: torch.dtype | None) -> Iterator[None]:
    """While the block runs, compute in `autocast` if it is not None, and multiply float32 without rounding it first.

    By default torch lets CUDA's convolutions and recurrent layers round to TF32, and after
    `set_float32_matmul_precision` matrix products, too, on the CPU even to bfloat16.
    """
    import torch

    with ExitStack() as stack:
        for holder, name, exact in _switches():
            stack.callback(setattr, holder, name, getattr(holder, name))
            setattr(holder, name, exact)
        if device.type == "cuda":
            # Kernels of Triton start on the current card, wherever their tensors are.
            stack.enter_context(torch.cuda.device(device))
        stack.enter_context(torch.autocast(device.type, autocast, enabled=autocast is not None))
        yield


def _switches() -> list[tuple[object, str, object]]:
    """Return where torch keeps what float32 may be rounded to, and the value for not at all."""
    from torch.backends import cuda, cudnn, mkldnn

    if hasattr(cudnn, "conv"):
        kinds = [(library, kind) for library in (cudnn, mkldnn) for kind in ("conv", "matmul", "rnn")]
        holders = [getattr(library, kind) for library, kind in kinds if hasattr(library, kind)]
        return [(holder, "fp32_precision", "ieee") for holder in (cuda.matmul, *holders)]
    # Before torch 2.9 there was one switch for all of cuDNN, and one for CUDA's matrix products.
    return [(cudnn, "allow_tf32", False), (cuda.matmul, "allow_tf32", False)]
