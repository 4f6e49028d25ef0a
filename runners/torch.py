"""Run a torch module as it is, by hooks: the same contract as a probe, without an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.probes.answers import answers_digest
from sdmetrics.probes.feeds import (
    EXAMPLE_CLIPS,
    check_feeds,
    check_masks,
    check_sources,
    clips_in,
    example_feeds,
    one_by_one,
    order_name,
    unfold_frames,
)
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.layouts import lay_out
from sdmetrics.probes.metadata import Layer
from sdmetrics.probes.placement import place_batch, pool
from sdmetrics.probes.torch_hooks import (
    check_module,
    concatenated,
    device_and_dtype,
    evaluating,
    explained,
    layer_names,
    losses_on_shuffled,
    named_tensors,
    replacing_outputs,
    weights_sha256,
)
from sdmetrics.runners.cards import card_number
from sdmetrics.runners.protocols import noted
from sdmetrics.runners.torch_precision import autocast_of, coarsest, computing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class TorchRunner:
    """Runs a torch module: frames in, pooled units out.

    Parameters
    ----------
    module
        The model; it is called with one tensor per model input, in their order, in evaluation mode.
    inputs
        How it is fed.
    layers
        Names of modules, or `"stages"`, as for `sdmetrics.exporters.torch.export`; empty for the module's own outputs
        only. A mapping gives their channel axes; without one, or where it is None, tensors of three axes `(N, tokens,
        C)` have their channels last, all others in axis 1.
    device
        The device to run on; the module is moved there. `"auto"` is the graphics card of this process on its machine
        (LOCAL_RANK, else SLURM_LOCALID, else 0), or the CPU where there is none.

    Attributes
    ----------
    inputs, layers, name, circumstance
        See `sdmetrics.runners.onnxruntime.OnnxRunner`.
    identity
        What decides its numbers: the module's class, SHA-256 of its weights, a digest of its answers to example clips
        (which changes with code that the weights do not show), its layers with their axes, precision. Hashed when the
        runner is made.
    file
        What `open_model` opens it with again, `FILE.py:FUNCTION`; None for a module that was passed. Recorded in the
        folders of runs.

    Raises
    ------
    InputError
        If a layer does not exist, runs more than once or never, or does not keep the clips of a batch apart.

    Examples
    --------
    >>> from torch import nn
    >>> video = ModelInput("video", frames=2, size=(4, 4))
    >>> runner = TorchRunner(nn.Sequential(nn.Conv3d(3, 5, 1), nn.ReLU()), [video], ["0"])
    >>> feeds = {"rgb": np.zeros((1, 2, 4, 4, 3), np.uint8), "video/order": np.array([[0, 1]])}
    >>> runner(feeds)["0"].shape
    (1, 5)
    """

    inputs: Sequence[ModelInput]
    layers: Sequence[str]
    name: str
    identity: Mapping[str, Any]
    circumstance: Mapping[str, Any]
    file: str | None = None

    def __init__(
        self,
        module: nn.Module,
        inputs: Sequence[ModelInput],
        layers: Sequence[str] | Mapping[str, int | None] | Literal["stages"],
        device: str = "cpu",
    ) -> None:
        torch = require("torch", extra="torch")
        if device == "auto":
            cards = torch.cuda.device_count()
            device = f"cuda:{card_number(device, cards)}" if cards else "cpu"
        check_sources(inputs)
        check_module(module)
        none = isinstance(layers, list | tuple | dict) and not layers
        self.layers = [] if none else layer_names(module, layers)
        self.inputs = tuple(inputs)
        try:
            self._module = module.to(device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device!r} cannot be used: {one_line(error)}. Try 'cpu'") from None
        device_type, _ = device_and_dtype(module)
        self._autocast = autocast_of(device_type)
        self._layers, answers, computed = self._place(layers if isinstance(layers, Mapping) else {})
        self.name = type(module).__name__
        self.identity = {
            "class": f"{type(module).__module__}.{type(module).__qualname__}",
            "model_sha256": weights_sha256(module),
            "answers": answers,
            "framework": "torch",
            "precision": coarsest(module, [*computed, *([self._autocast] if self._autocast else [])]),
            "layers": {name: layer.axes for name, layer in self._layers.items()},
            **noted(losses_on_shuffled(module)),
        }
        self.circumstance = {
            "runtime": f"torch {torch.__version__}",
            "provider": str(device_type),
            "device": torch.cuda.get_device_name(device_type) if device_type.type == "cuda" else str(device_type),
            "threads": torch.get_num_threads(),
        }

    def __call__(
        self, feeds: Mapping[str, NDArray[Any]], masks: Mapping[str, NDArray[Any]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return the pooled units of every layer, float32 `(N, units)`; as `OnnxRunner` does."""
        return self._run(feeds, masks)[0]

    def run(
        self, feeds: Mapping[str, NDArray[Any]], masks: Mapping[str, NDArray[Any]] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the module's own outputs by name; as `OnnxRunner.run` does."""
        return unfold_frames(self._run(feeds, masks)[1], self.inputs, clips_in(feeds))

    def tensors(self, feeds: Mapping[str, NDArray[Any]], layers: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return what layers hold for one view before it is pooled; as `OnnxRunner.tensors` does."""
        held: dict[str, list[Tensor]] = {name: [] for name in layers}

        def tap(name: str, tensor: Tensor) -> Tensor:
            if name in held:
                axes = self._layers[name]
                assert axes.channel_axis is not None
                held[name].append(tensor.float().movedim((axes.batch_axis, axes.channel_axis), (0, 1)))
            return tensor

        self._forward(check_feeds(feeds, self.inputs), tap)
        return {name: concatenated(parts).cpu().numpy() for name, parts in held.items()}

    def _run(
        self, feeds: Mapping[str, NDArray[Any]], masks: Mapping[str, NDArray[Any]] | None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[Any]]]:
        """Return pooled units and outputs."""
        import torch

        feeds = check_feeds(feeds, self.inputs)
        units = {name: layer.units for name, layer in self._layers.items() if layer.units}
        factors = {name: torch.from_numpy(mask) for name, mask in check_masks(masks or {}, units).items()}
        pooled: dict[str, list[Tensor]] = {name: [] for name in self.layers}

        def tap(name: str, tensor: Tensor) -> Tensor:
            layer = self._layers[name]
            pooled[name].append(_pool(tensor, layer, clips_in(feeds)))
            if name not in factors:
                return tensor
            assert layer.channel_axis is not None
            shape = [-1] + [1] * (tensor.ndim - layer.channel_axis - 1)
            return tensor * factors[name].to(tensor).reshape(shape)

        own = self._forward(feeds, tap)
        # A layer that runs once per frame has one part per frame, all of one size.
        return {name: torch.stack(parts).mean(0).cpu().numpy() for name, parts in pooled.items()}, own

    def _forward(
        self, feeds: Mapping[str, NDArray[Any]], tap: Callable[[str, Tensor], Tensor]
    ) -> dict[str, NDArray[Any]]:
        """Run the module with `tap` on every layer; return its own outputs."""
        device, _ = device_and_dtype(self._module)
        running = replacing_outputs(self._module, self.layers, tap)
        with computing(device, self._autocast), evaluating(self._module), explained(self._module), running:
            # Inputs that read the same frames share one copy of them.
            copied = {name: copy_to(array, device) for name, array in feeds.items()}
            own = self._module(*(self._prepare(copied, item) for item in self.inputs))
        return {name: _array(tensor, "float32") for name, tensor in named_tensors(own).items()}

    def _prepare(self, feeds: Mapping[str, Tensor], item: ModelInput) -> Tensor:
        """Return what one model input reads: frames in order, scaled, shifted and laid out."""
        import torch

        device, dtype = device_and_dtype(self._module)
        frames, order = feeds[item.source], feeds[order_name(item)]
        clips = torch.arange(len(frames), device=device)[:, None]
        values = frames[clips, order]
        mean, std = (copy_to(np.asarray(value, np.float32), device) for value in (item.mean, item.std))
        if item.limit is not None:
            values = values.clamp(-item.limit, item.limit) / item.limit
        elif item.source != "flow_vectors":
            values = (values.flip(-1) if item.colours == "bgr" else values) / 255
        return lay_out((values - mean) / std, item.layout).contiguous().to(dtype)

    def _place(self, axes: Mapping[str, int | None]) -> tuple[dict[str, Layer], str, set[torch.dtype]]:
        """Return the layers with their axes, verified with two clips, the `answers_digest`, and the layers' types."""
        computed: set[torch.dtype] = set()
        feeds = example_feeds(self.inputs)
        runs: list[dict[str, NDArray[Any]]] = []
        outputs: list[dict[str, NDArray[Any]]] = []
        for batch in (feeds, *one_by_one(feeds)):
            values: dict[str, list[Tensor]] = {name: [] for name in self.layers}

            def tap(name: str, tensor: Tensor, values: dict[str, list[Tensor]] = values) -> Tensor:
                values[name].append(tensor.detach().clone())
                computed.add(tensor.dtype)
                return tensor

            outputs.append(self._forward(batch, tap))
            # bfloat16 as float16, so that values are compared with the tolerance of two bytes.
            runs.append({name: _array(concatenated(parts), "float16") for name, parts in values.items()})
        assert len(runs) == 1 + EXAMPLE_CLIPS
        together, *alone = runs
        usual = {name: usual_axis(values.ndim) for name, values in together.items()}
        chosen = {**usual, **{name: axis for name, axis in axes.items() if axis is not None}}
        layers = {
            name: place_batch(
                Layer(name, name, (), chosen[name], module=name), together[name], [values[name] for values in alone]
            )
            for name in self.layers
        }
        answers = {f"units/{name}": pool(together[name], layer, EXAMPLE_CLIPS) for name, layer in layers.items()}
        # What follows the last layer decides the scores of an ablation.
        answers |= {name: _row(values) for name, values in outputs[0].items() if values.size}
        return layers, answers_digest(answers), computed


def copy_to(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device. A graphics card copies from pinned memory while the CPU continues.

    torch keeps the pinned memory until the copy is done, and the card begins nothing before that.
    """
    import torch

    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def usual_axis(axes: int) -> int:
    """Return the channel axis of a tensor with so many axes: the last of `(N, tokens, C)`, else the second."""
    return 2 if axes == 3 else 1


def _pool(tensor: Tensor, layer: Layer, clips: int) -> Tensor:
    """Return the mean over all but clips and channels, `(clips, units)`."""
    assert layer.channel_axis is not None
    values = tensor.float().movedim((layer.batch_axis, layer.channel_axis), (0, -1))
    rows = values.reshape(values.shape[0], -1, values.shape[-1]).mean(1)
    if layer.fold == "time-major":
        return rows.reshape(-1, clips, rows.shape[-1]).mean(0)
    return rows.reshape(clips, -1, rows.shape[-1]).mean(1)


def _row(output: NDArray[Any]) -> NDArray[np.float64]:
    """Return the finite values of an output of any shape as one row, 0 in place of the others."""
    return np.nan_to_num(output.real.reshape(1, -1).astype(np.float64), posinf=0.0, neginf=0.0)


def _array(tensor: Tensor, stand_in: Literal["float16", "float32"]) -> NDArray[Any]:
    """Return a tensor as a NumPy array; bfloat16, which NumPy lacks, becomes another type."""
    import torch

    array: NDArray[Any] = (
        (tensor.to(getattr(torch, stand_in)) if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()
    )
    return array
