"""Running a model that is being trained once more, so that the training does not notice."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.func import functional_call


def run_unnoticed(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], seed: int) -> None:
    """Run a model in the mode it is in, without gradient; only its hooks see what it returns.

    Its buffers and torch's random generators are afterwards, bit for bit, what they were. What it draws depends on
    `seed` alone. Compiled parts run uncompiled, so that nothing is compiled anew.

    Examples
    --------
    >>> model, before = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()), torch.get_rng_state()
    >>> run_unnoticed(model, (torch.ones(3, 2),), {}, seed=0)
    >>> model[0].running_mean.tolist(), torch.equal(torch.get_rng_state(), before)
    ([0.0, 0.0], True)
    """
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(cuda))
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed_all(seed)
        # torch 2.8 and 2.9 would keep weights that autocast converted without gradient for the forward proper.
        stack.callback(torch.set_autocast_cache_enabled, torch.is_autocast_cache_enabled())
        torch.set_autocast_cache_enabled(False)
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "None of the inputs have requires_grad")  # activation checkpointing
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        functional_call(model, buffers, args, dict(kwargs))
