"""Read and replace what the parts of a torch module return, for exporting and for running it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

from sdmetrics._text import printable
from sdmetrics.errors import InputError, MissingExtra, one_line
from sdmetrics.probes.layer_names import check_layer_names
from sdmetrics.probes.torch_stages import find_stages

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


PER_FRAME = "runs_per_frame"
"""The attribute of a module with the paths of those parts that its forward runs once for every frame."""

TRAINED_ON_SHUFFLED = "trained_on_shuffled"
"""The attribute of a module with the names of the losses on shuffled clips that it was trained with."""


def layer_names(module: nn.Module, layers: Sequence[str] | Mapping[str, int | None] | Literal["stages"]) -> list[str]:
    """Return the names of the modules that are layers.

    Raises
    ------
    InputError
        If it is not a module of Python with weights, a module does not exist or is named twice, or no stages are
        found.
    """
    check_module(module)
    if isinstance(layers, str):
        if layers != "stages":
            raise InputError(f"layers is {layers!r}; expected a list of module names, or 'stages'")
        return find_stages(module)
    return check_layer_names(layers, [name for name, _ in module.named_modules() if name], type(module).__name__)


def check_module(module: object) -> None:
    """Raise an `InputError` unless the argument is a module whose parts can be hooked and which has its weights.

    Examples
    --------
    >>> check_module("model.pt")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: the model is 'model.pt', a str; expected: a torch.nn.Module, with its weights loaded
    """
    import torch

    kind = type(module).__name__
    if not isinstance(module, torch.nn.Module):
        what = f"{module!r}, a {kind}" if isinstance(module, str) else f"a {kind}"
        raise InputError(f"the model is {printable(what)}; expected: a torch.nn.Module, with its weights loaded")
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(
            f"the model is TorchScript ({kind}), whose parts cannot be reached; pass the Python module that it was "
            "scripted or traced from, or open an ONNX export of it with sdmetrics.open_model"
        )
    values = [*module.parameters(), *module.buffers()]
    if values and all(value.is_meta for value in values):
        raise InputError(f"{kind} is on the device 'meta', without values; load its weights first")


@contextmanager
def explained(module: nn.Module) -> Iterator[None]:
    """While the block runs a module, say in one line why it fails; the `InputError` has the error as its cause."""
    try:
        yield
    except (InputError, MissingExtra):
        raise
    except (Exception, SystemExit) as error:
        types = sorted({str(value.dtype).removeprefix("torch.") for value in module.parameters()})
        mixed = f"; its weights are {' and '.join(types)}, bring them to one type" if len(types) > 1 else ""
        memory = ". Use a smaller batch" if "out of memory" in str(error) else ""
        raise InputError(
            f"{type(module).__name__} fails in its forward: {type(error).__name__}: {printable(one_line(error))}{mixed}"
            f"{memory or '. Check how it is fed: inputs, layout, frames and size'}"
        ) from error


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """While the block runs, keep the module in evaluation mode and record no gradients."""
    import torch

    training = [part for part in module.modules() if part.training]
    try:
        module.eval()
    except NotImplementedError as error:  # of a graph that torch.export made
        raise InputError(
            f"{type(module).__name__} cannot be evaluated ({one_line(error)}); pass the module that it was made from"
        ) from None
    try:
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True


def weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256 of a module's weights, their names, types and shapes."""
    import torch

    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def device_and_dtype(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return the device and the floating-point type of a module's weights."""
    import torch

    weights = [value for value in [*module.parameters(), *module.buffers()] if value.is_floating_point()]
    return (weights[0].device, weights[0].dtype) if weights else (torch.device("cpu"), torch.float32)


def losses_on_shuffled(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the losses on shuffled clips that a module was trained with, which `attach` notes in it."""
    return tuple(getattr(module, TRAINED_ON_SHUFFLED, ()))


def runs_per_frame(module: nn.Module) -> frozenset[str]:
    """Return the paths of the parts that a module runs once for every frame."""
    return frozenset(getattr(module, PER_FRAME, ()))


def concatenated(runs: Sequence[Tensor]) -> Tensor:
    """Return what a part returned in a forward. If it ran once per frame, the frames are folded into the batch."""
    import torch

    return runs[0] if len(runs) == 1 else torch.cat(list(runs))


@contextmanager
def replacing_outputs(
    module: nn.Module, names: Sequence[str], replace: Callable[[str, Tensor], Tensor]
) -> Iterator[None]:
    """While the block runs, modules return `replace(name, tensor)` for the first tensor of what they return.

    For parts that run once per frame, which the module lists in its attribute `runs_per_frame`, `replace` is called for
    every frame.

    Raises
    ------
    InputError
        In the block, if a module runs twice in one forward and not once per frame, or returns no tensor; at the end
        of the block, if a module never ran.
    """
    ran: set[str] = set()
    repeated = runs_per_frame(module)

    def changed_of(name: str) -> Callable[[Tensor], Tensor]:
        def changed(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                raise InputError(
                    f"module {name!r} returns {tensor.dtype}; units are floating-point numbers. Name another module"
                )
            return replace(name, tensor)

        return changed

    def hook_of(name: str) -> Callable[[nn.Module, object, object], object]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> object:
            if name in ran and name not in repeated:
                raise InputError(
                    f"module {name!r} runs more than once in a forward, so it is not one layer; name the module around "
                    "it"
                )
            ran.add(name)
            return with_first_tensor(output, changed_of(name), name)

        return hook

    modules = dict(module.named_modules())
    with ExitStack() as hooks:
        for name in names:
            hooks.callback(modules[name].register_forward_hook(hook_of(name)).remove)
        yield
    for name in names:
        if name not in ran:
            raise InputError(f"module {name!r} does not run in a forward of the model; name a module that does")


def with_first_tensor(output: object, replace: Callable[[Tensor], Tensor], name: str) -> object:
    """Return `output`, a tensor or a tuple, list or dict of tensors, with its first tensor replaced."""
    import torch

    if isinstance(output, torch.Tensor):
        return replace(output)
    if isinstance(output, dict):
        key = next((key for key, value in output.items() if isinstance(value, torch.Tensor)), None)
        if key is not None:
            changed = copy.copy(output)
            changed[key] = replace(output[key])
            return changed
    if isinstance(output, (tuple, list)):
        index = next((i for i, value in enumerate(output) if isinstance(value, torch.Tensor)), None)
        if index is not None:
            items = [replace(value) if i == index else value for i, value in enumerate(output)]
            return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    raise InputError(f"module {name!r} returns {type(output).__name__} without a tensor; name another module")


def named_tensors(output: object) -> dict[str, Tensor]:
    """Return the tensors of a model's output by name: `output`, the keys of a dict, or `output_0`, `output_1` etc."""
    import torch

    if isinstance(output, torch.Tensor):
        return {"output": output}
    if isinstance(output, dict):
        items = list(output.items())
    elif isinstance(output, (tuple, list)):
        items = [(f"output_{index}", value) for index, value in enumerate(output)]
    else:
        items = []
    tensors = {str(key): value for key, value in items if isinstance(value, torch.Tensor)}
    if not tensors:
        raise InputError(
            f"the model returns {type(output).__name__} without a tensor; wrap the model so that it returns tensors"
        )
    return tensors
