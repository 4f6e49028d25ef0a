"""The module inside `torch.compile`, `DistributedDataParallel` and `DataParallel`."""

from __future__ import annotations

import sys

from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.probes.torch_hooks import check_module

WRAPPERS: tuple[type[nn.Module], ...] = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrap(model: nn.Module, wrappers: tuple[type[nn.Module], ...] = WRAPPERS) -> nn.Module:
    """Return the module inside `torch.compile` and `wrappers`, in whatever order they are nested.

    Examples
    --------
    >>> unwrap(nn.DataParallel(nn.ReLU()))
    ReLU()
    """
    inner = getattr(model, "module" if isinstance(model, wrappers) else "_orig_mod", None)
    return unwrap(inner, wrappers) if isinstance(inner, nn.Module) else model


def check_on_one_device(module: nn.Module) -> None:
    """Check that a single process can run the module.

    Raises
    ------
    InputError
        If it is not a module of Python with weights, or they are spread over several devices or processes.
    """
    check_module(module)
    name = type(module).__name__
    fsdp = sys.modules.get("torch.distributed.fsdp")  # else nothing can be sharded, and loading it takes long
    sharded = (fsdp.FullyShardedDataParallel, fsdp.FSDPModule) if fsdp else ()
    if any(isinstance(part, sharded) for part in module.modules()):
        raise InputError(
            f"the weights of {name} are sharded over processes, so no single process can run it; measure its "
            "checkpoints, or train with DistributedDataParallel"
        )
    devices = {str(value.device) for value in [*module.parameters(), *module.buffers()]}
    if len(devices) > 1:
        raise InputError(
            f"{name} is on several devices ({', '.join(sorted(devices))}); measure its checkpoints, or keep it on one"
        )
