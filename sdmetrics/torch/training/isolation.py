"""Run a model during its training without affecting the training."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from sdmetrics.probes.torch_hooks import device_and_dtype, evaluating

_extra: list[nn.Module] = []
"""The models that run in an `extra_forward`: torch.compile guards a list, and not a context variable."""


@contextmanager
def seeded_eager(seed: int) -> Iterator[None]:
    """Seed torch's random generators and run compiled modules uncompiled; restore both afterwards.

    Uncompiled modules call their hooks, and nothing is recompiled.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with seeded_eager(0):
    ...     float(torch.rand(()))
    0.49625658988952637
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(cuda))
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed_all(seed)
        if "torch._dynamo" in sys.modules:  # else nothing can be compiled, and loading it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def extra_forward(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], seed: int, *, gradient: bool = False
) -> Any:  # noqa: ANN401  whatever models return
    """Run a model in its current mode and return its output, by default without gradient.

    The model's buffers and torch's random generators are restored bit for bit. The model's random draws depend on
    `seed` only. Hooks recognise such a forward by `in_extra_forward`.

    Examples
    --------
    >>> model, before = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()), torch.get_rng_state()
    >>> extra_forward(model, (torch.ones(3, 2),), {}, seed=0).requires_grad
    False
    >>> model[0].running_mean.tolist(), torch.equal(torch.get_rng_state(), before)
    ([0.0, 0.0], True)
    """
    with ExitStack() as stack:
        stack.enter_context(_marked(model))
        stack.enter_context(seeded_eager(seed))
        if not gradient:
            stack.enter_context(torch.no_grad())
            # torch 2.8 and 2.9 would keep weights that autocast converted without gradient for the main forward.
            stack.callback(torch.set_autocast_cache_enabled, torch.is_autocast_cache_enabled())
            torch.set_autocast_cache_enabled(False)
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "None of the inputs have requires_grad")  # activation checkpointing
        # Copies, as an earlier forward may still wait for its backward: restoring in place would invalidate it.
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        return functional_call(model, buffers, args, dict(kwargs))


def in_extra_forward() -> bool:
    """Return whether a model runs in an `extra_forward`, which does not count as a training step."""
    return len(_extra) > 0


@contextmanager
def _marked(model: nn.Module) -> Iterator[None]:
    """While the block runs, `in_extra_forward` is true."""
    _extra.append(model)
    try:
        yield
    finally:
        _extra.pop()


@contextmanager
def preserving_state(module: nn.Module, seed: int) -> Iterator[None]:
    """Put a module in evaluation mode, in the precision of its weights; restore everything afterwards.

    Restored are the mode of every submodule, the buffers and the random generators of Python, NumPy and torch; no
    gradient is recorded. A module that draws random numbers in evaluation draws the same ones every time.

    Examples
    --------
    >>> module, before = nn.Dropout(), torch.get_rng_state()
    >>> with preserving_state(module, seed=0):
    ...     module.training, float(torch.rand(()) + module(torch.ones(())))
    (False, 1.4962565898895264)
    >>> module.training, torch.equal(torch.get_rng_state(), before)
    (True, True)
    """
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  a user's model may draw from either
    with seeded_eager(seed), torch.autocast(device_and_dtype(module)[0].type, enabled=False), evaluating(module):
        try:
            yield
        finally:
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
