"""A model that is being trained: the module under its wrappers, and measuring it without a trace."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import distributed, nn

from sdmetrics.errors import InputError
from sdmetrics.probes.torch_hooks import evaluating, place_of


def bare_module(model: nn.Module) -> nn.Module:
    """Return the module that `torch.compile`, `DistributedDataParallel` and `DataParallel` are wrapped around.

    Raises
    ------
    InputError
        If the weights are spread over several devices or processes.

    Examples
    --------
    >>> bare_module(nn.DataParallel(nn.ReLU()))
    ReLU()
    """
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            break
    name = type(model).__name__
    fsdp = sys.modules.get("torch.distributed.fsdp")  # else nothing can be sharded, and loading it takes long
    sharded = (fsdp.FullyShardedDataParallel, fsdp.FSDPModule) if fsdp else ()
    if any(isinstance(part, sharded) for part in model.modules()):
        raise InputError(
            f"the weights of {name} are sharded over processes, and no single one can run it; measure its checkpoints, "
            "or train with DistributedDataParallel"
        )
    devices = {str(value.device) for value in [*model.parameters(), *model.buffers()]}
    if len(devices) > 1:
        raise InputError(
            f"{name} lies on several devices ({', '.join(sorted(devices))}); measure its checkpoints, or keep it on one"
        )
    return model


def is_first_process() -> bool:
    """Whether this process is the one that measures: of several that train together, that of rank 0.

    Examples
    --------
    >>> is_first_process()
    True
    """
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


@contextmanager
def leaving_no_trace(module: nn.Module, seed: int) -> Iterator[None]:
    """While the block runs, the module evaluates in the precision of its weights; afterwards all is as it was.

    That is: every part's mode, the buffers, the gradients, and the random numbers of Python, NumPy and torch. A
    module that draws numbers in evaluation draws the same ones every time. Compiled parts run uncompiled, so that
    their hooks are called and nothing is compiled anew.

    Examples
    --------
    >>> module, before = nn.Dropout(), torch.get_rng_state()
    >>> with leaving_no_trace(module, seed=0):
    ...     module.training, float(torch.rand(()) + module(torch.ones(())))
    (False, 1.4962565898895264)
    >>> module.training, torch.equal(torch.get_rng_state(), before)
    (True, True)
    """
    device = place_of(module)[0].type
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    drawn = random.getstate(), np.random.get_state()  # noqa: NPY002  a user's model may draw from either
    cuda = range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(list(cuda)))
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed_all(seed)
        stack.enter_context(torch.autocast(device, enabled=False))
        if "torch._dynamo" in sys.modules:  # else nothing can be compiled, and loading it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(evaluating(module))
        try:
            yield
        finally:
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
            random.setstate(drawn[0])
            np.random.set_state(drawn[1])  # noqa: NPY002
