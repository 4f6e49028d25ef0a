"""A torch module to an ONNX model whose layers are named outputs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from sdmetrics.errors import InputError, require
from sdmetrics.exporters.assemble import MASK_NODE
from sdmetrics.exporters.axes import axis_of, label_axes
from sdmetrics.exporters.feeds import check_inputs, check_sources, prepare, random_feeds, select
from sdmetrics.exporters.graph import LIMIT, check_model, one_line, save_model, shapes
from sdmetrics.exporters.layers import find_layers
from sdmetrics.exporters.metadata import Layer, Metadata, write_metadata
from sdmetrics.exporters.modules import (
    evaluating,
    layer_names,
    named_tensors,
    place_of,
    replacing_outputs,
    weights_sha256,
)
from sdmetrics.exporters.session import open_session
from sdmetrics.exporters.verify import floats, place_batch, relative_error, run, tolerance
from sdmetrics.views import ModelInput

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

OPSET = 20
CLIPS = 3
GATE = "gate/"
LAYER = "layer/"

Arrays = Mapping[str, NDArray[Any]]


def export(
    module: nn.Module,
    inputs: Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int] | Literal["stages"],
    path: Path,
) -> Path:
    """Export a torch module to an ONNX model that knows its layers; `build_probe` makes a probe of it.

    The model has a dynamic batch, the module's own outputs and one output `layer/<name>` per layer: the very
    tensor that the module returns (of several, the first), whatever in-place operation or folding comes after
    it. The module is exported in evaluation mode and left as it was.

    Parameters
    ----------
    module
        The model; it is called with one tensor per model input, in their order.
    inputs
        How it is fed.
    layers
        Names of modules as `module.named_modules()` gives them, or `"stages"`: stem and stages of a
        ResNet-like network, the blocks of a transformer. A mapping gives their channel axes too, for the
        layers in which they are not certain.
    path
        Where the ONNX file goes.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If a layer does not exist, runs more than once or never, or if the ONNX model and the module differ by
        more than 1e-3 of a tensor's scale for one or for three clips.

    Examples
    --------
    >>> import tempfile
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> video = ModelInput("video", frames=3, size=(8, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(model, [video], ["0", "1"], Path(folder) / "model.onnx").name
    'model.onnx'
    """
    path = Path(path)
    check_sources(inputs)
    names = layer_names(module, layers)
    feeds = random_feeds(inputs, CLIPS)
    with evaluating(module):
        together = _forward(module, names, prepare(feeds, inputs))
        alone = [_forward(module, names, prepare(select(feeds, slice(i, i + 1)), inputs)) for i in range(CLIPS)]
        outputs = [name for name in together if not name.startswith(LAYER)]
        model = _to_onnx(module, names, prepare(feeds, inputs), outputs)
    _mark_layers(model, names)
    check_inputs(model, inputs)
    check_model(model, path.name)
    known = shapes(model)
    labels = label_axes(model, known, {item.name: item.layout for item in inputs})
    offered = [
        Layer(
            name=name,
            tensor=LAYER + name,
            shape=known.get(LAYER + name, ()),
            channel_axis=axis_of(labels.get(LAYER + name), "C"),
            time_axis=axis_of(labels.get(LAYER + name), "T"),
            module=name,
        )
        for name in names
    ]
    chosen = find_layers(layers if isinstance(layers, Mapping) else names, offered, type(module).__name__)
    placed = [
        place_batch(layer, together[layer.tensor], [values[layer.tensor] for values in alone]) for layer in chosen
    ]
    metadata = Metadata(
        kind="model",
        name=path.stem,
        inputs=tuple(inputs),
        layers=tuple(placed),
        outputs=tuple(outputs),
        framework=f"torch {require('torch', extra='torch').__version__}",
        sha256=weights_sha256(module),
        export_error=_compare(model, feeds, inputs, together, alone[0]),
    )
    write_metadata(model, metadata)
    return save_model(model, path)


def _forward(module: nn.Module, names: Sequence[str], arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return the module's own outputs and its layers' tensors."""
    import torch

    device, dtype = place_of(module)
    taps: dict[str, Tensor] = {}

    def tap(name: str, tensor: Tensor) -> Tensor:
        taps[LAYER + name] = tensor.clone()
        return tensor

    with replacing_outputs(module, names, tap):
        own = module(*(torch.as_tensor(array).to(device, dtype) for array in arrays.values()))
    found = named_tensors(own) | {LAYER + name: taps[LAYER + name] for name in names}
    return {name: tensor.cpu().numpy() for name, tensor in found.items()}


def _to_onnx(module: nn.Module, names: Sequence[str], arrays: Arrays, outputs: Sequence[str]) -> ModelProto:
    """Run torch's exporter on the module with every layer's consumers behind a gate.

    A gate is a number that multiplies what a layer's consumers read. As an input of the model it cannot be
    folded, so the tensor before it is the layer's exactly, and what follows (an in-place operation, too)
    meets the product.
    """
    import torch

    weights = sum(value.nbytes for value in [*module.parameters(), *module.buffers()])
    if weights > LIMIT:
        raise InputError(
            f"the module holds {weights / 2**30:.1f} GiB of weights; one ONNX file holds less than 2 GiB. Export it "
            "with half-precision weights, or analyse it with sdmetrics.runners.torch"
        )

    class Gated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, fed: tuple[Tensor, ...], gates: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            by_name, taps = dict(zip(names, gates, strict=True)), {}

            def gate(name: str, tensor: Tensor) -> Tensor:
                taps[name] = tensor.clone()
                return tensor * by_name[name]

            with replacing_outputs(self.model, names, gate):
                own = self.model(*fed)
            return (*named_tensors(own).values(), *(taps[name] for name in names))

    device, dtype = place_of(module)
    fed = tuple(torch.as_tensor(array).to(device, dtype) for array in arrays.values())
    gates = tuple(torch.ones((), device=device, dtype=dtype) for _ in names)
    batch = torch.export.Dim("batch")
    try:
        with _quiet():
            program = torch.onnx.export(
                Gated().eval(),
                (fed, gates),
                dynamo=True,
                opset_version=OPSET,
                input_names=[*arrays, *(GATE + name for name in names)],
                output_names=[*outputs, *(LAYER + name for name in names)],
                dynamic_shapes=(tuple({0: batch} for _ in fed), tuple({} for _ in gates)),
                verbose=False,
            )
    except Exception as error:
        cause = error.__cause__ or error
        raise InputError(
            f"torch {torch.__version__} cannot export {type(module).__name__}: {type(cause).__name__}: "
            f"{one_line(cause)}. Try torch.export.export on the module for the details, or analyse it with "
            "sdmetrics.runners.torch"
        ) from error
    assert program is not None
    return program.model_proto


def _mark_layers(model: ModelProto, names: Sequence[str]) -> None:
    """Turn each gate into an Identity of a known name; drop what only tells of the exporting machine."""
    graph = model.graph
    for name in names:
        readers = [node for node in graph.node if GATE + name in node.input]
        if len(readers) != 1 or readers[0].op_type != "Mul":
            raise InputError(f"torch's exporter moved what follows layer {name!r}; name another layer")
        (gate,) = readers
        other = gate.input[1 - list(gate.input).index(GATE + name)]
        gate.op_type, gate.name = "Identity", MASK_NODE + name
        del gate.input[:]
        gate.input.append(other)
        graph.input.remove(next(value for value in graph.input if value.name == GATE + name))
    for described in [
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ]:
        del described.metadata_props[:]
        described.doc_string = ""


def _compare(model: ModelProto, feeds: Arrays, inputs: Sequence[ModelInput], together: Arrays, first: Arrays) -> float:
    """Return the largest relative difference between ONNX model and module, for one clip and for several."""
    session = open_session(model.SerializeToString())
    worst = 0.0
    for clips, expected in ((1, first), (CLIPS, together)):
        found = run(session, prepare(select(feeds, slice(clips)), inputs), list(expected))
        for name, value in floats(found).items():
            error = relative_error(value, expected[name])
            if error > tolerance(value.dtype):
                raise InputError(
                    f"the ONNX model's {name} differs from the module's by {error:.1e} of its scale for {clips} "
                    "clip(s); the export is wrong. Name other layers, or analyse the module with "
                    "sdmetrics.runners.torch"
                )
            worst = max(worst, error)
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporter from warning of its own deprecations and of packages it does without."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
