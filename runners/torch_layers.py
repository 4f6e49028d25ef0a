"""List the modules of a torch model that can be layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError
from sdmetrics.probes.feeds import example_feeds, select
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Layer
from sdmetrics.probes.torch_hooks import runs_per_frame, with_first_tensor
from sdmetrics.runners.torch import TorchRunner, usual_axis

if TYPE_CHECKING:
    from torch import Tensor, nn

Hook = Callable[["nn.Module", object, object], None]


def list_modules(module: nn.Module, inputs: Sequence[ModelInput]) -> list[Layer]:
    """List the modules that run once in a forward and return numbers for each clip, in the order in which they return.

    Examples
    --------
    >>> from torch import nn
    >>> video = ModelInput("video", frames=2, size=(4, 4))
    >>> listed = list_modules(nn.Sequential(nn.Conv3d(3, 5, 1), nn.ReLU()), [video])
    >>> [(layer.name, layer.shape, layer.channel_axis, layer.units) for layer in listed]
    [('0', ('clips', 5, 2, 4, 4), 1, 5), ('1', ('clips', 5, 2, 4, 4), 1, 5)]
    """
    runner = TorchRunner(module, inputs, ())
    feeds = example_feeds(inputs)
    one, two = (_shapes(module, partial(runner.run, select(feeds, slice(n)))) for n in (1, 2))
    layers = []
    for name, shape in one.items():
        twice = two.get(name, ())
        grown = [axis for axis, size in enumerate(shape) if len(twice) == len(shape) and twice[axis] == 2 * size]
        changed = [axis for axis, size in enumerate(shape) if len(twice) == len(shape) and twice[axis] != size]
        channel = usual_axis(len(shape))
        if len(grown) == 1 and changed == grown and channel < len(shape) and channel != grown[0]:
            clips = "clips" if shape[grown[0]] == 1 else f"{shape[grown[0]]} · clips"
            layers.append(
                Layer(
                    name,
                    name,
                    tuple(clips if axis == grown[0] else size for axis, size in enumerate(shape)),
                    channel,
                    shape[channel],
                    batch_axis=grown[0],
                    module=type(module.get_submodule(name)).__name__,
                )
            )
    return layers


def _shapes(module: nn.Module, run: Callable[[], object]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what modules return, without those that run several times or return no numbers."""
    returned: dict[str, list[tuple[int, ...]]] = {}

    def hook_of(name: str) -> Hook:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            def noted(tensor: Tensor) -> Tensor:
                if tensor.is_floating_point():
                    returned.setdefault(name, []).append(tuple(tensor.shape))
                return tensor

            with suppress(InputError):
                with_first_tensor(output, noted, name)

        return hook

    with ExitStack() as hooks:
        for name, part in module.named_modules():
            if name:
                hooks.callback(part.register_forward_hook(hook_of(name)).remove)
        run()
    repeated = runs_per_frame(module)
    return {
        name: (sum(shape[0] for shape in shapes), *shapes[0][1:]) if len(shapes) > 1 else shapes[0]
        for name, shapes in returned.items()
        if len(shapes) == 1 or name in repeated
    }
