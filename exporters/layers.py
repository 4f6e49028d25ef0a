"""The layers of an ONNX file: what a probe can be asked for."""

from __future__ import annotations

import dataclasses
import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._build.batch_size import with_working_batch
from sdmetrics.exporters._graph.axes import axis_of, label_axes
from sdmetrics.exporters._graph.describe_inputs import guess_layout, infer_inputs
from sdmetrics.exporters._graph.layer_candidates import worth_listing
from sdmetrics.exporters._graph.module_scopes import module_outputs
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.exporters.batches import fixed_batch
from sdmetrics.probes.metadata import Layer, metadata_of
from sdmetrics.probes.onnx_file import Shape, element_types, fed_inputs, load_graph, load_model, shapes

if TYPE_CHECKING:
    from onnx import ModelProto


def list_layers(model: Path) -> list[Layer]:
    """List the layers of an ONNX file that can be probed, in the order in which they are computed.

    A file of `sdmetrics.exporters.torch.export` declares its layers. In other files of torch's newer exporter
    they are the modules whose output is certain; elsewhere the outputs of activations, sums and convolutions,
    which have no module path, only a tensor's name.

    Raises
    ------
    InputError
        If the file is missing, not ONNX, or itself a probe.

    Examples
    --------
    >>> import tempfile
    >>> from onnx import TensorProto, helper
    >>> def value(name):
    ...     return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 32, 32])
    >>> node = helper.make_node("Relu", ["video"], ["act"])
    >>> graph = helper.make_graph([node], "g", [value("video")], [value("act")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.onnx"
    ...     _ = path.write_bytes(helper.make_model(graph).SerializeToString())
    ...     print([(layer.name, layer.shape, layer.channel_axis, layer.units) for layer in list_layers(path)])
    [('act', ('n', 3, 8, 32, 32), 1, 3)]
    """
    loaded = load_model(Path(model))
    declared = metadata_of(loaded, str(model))
    if declared is None:
        try:
            inputs = infer_inputs(loaded)
        except InputError:
            return candidates(loaded)
        loaded = with_working_batch(loaded, inputs)
        return candidates(loaded, {item.name: item.layout for item in inputs}, known=known_shapes(loaded, inputs))
    if declared.kind == "probe":
        raise InputError(
            f"{model} is a probe already; its layers are {', '.join(layer.name for layer in declared.layers)}"
        )
    return list(declared.layers)


def understood_inputs(model: Path) -> list[str]:
    """Return a line for every input of an ONNX file: how it is fed, or what has to be said for that."""
    loaded = load_graph(Path(model))
    declared = metadata_of(loaded, str(model))
    try:
        inputs = declared.inputs if declared else infer_inputs(loaded)
    except InputError as error:
        return [str(error)]
    batch = fixed_batch(loaded)
    return [
        f"input {item.name}: {item.frames} frame(s) of {item.size[0]} × {item.size[1]} as {item.layout}"
        + ("" if item.source == "rgb" else f" from {item.source}")
        + (f", {batch} clip(s) at once" if batch else "")
        + ("" if declared else "; not so? say --layout, --frames, --size, --mean and --std to sdmetrics probe")
        + ("" if declared or len(inputs) == 1 else f", or --input '{item.name} source=flow …' for this one")
        for item in inputs
    ]


def candidates(
    model: ModelProto,
    layouts: Mapping[str, str] | None = None,
    every: bool = False,
    known: Mapping[str, Shape] | None = None,
) -> list[Layer]:
    """List the layers of a model that declares none; with `every`, all its tensors under all their names.

    `layouts` gives the axes of the model's inputs and `known` its tensors' shapes, where more than the file tells is
    known of them.
    """
    known = shapes(model) if known is None else known
    if layouts is None:
        layouts = {value.name: guess_layout(known.get(value.name, ())) or "" for value in fed_inputs(model.graph)}
    labels = label_axes(model, known, layouts)
    modules: defaultdict[str, list[str]] = defaultdict(list)
    for path, tensor in module_outputs(model.graph).items():
        modules[tensor].append(path)
    worth = set() if modules else worth_listing(model, known) - _whole_numbers(model)
    found = []
    for node in model.graph.node:
        for tensor in filter(None, node.output):
            # A container and its last child share a tensor: the shortest path names it.
            paths = sorted(modules.get(tensor, ()), key=len)
            axis = axis_of(labels.get(tensor), "C")
            shape = known.get(tensor, ())
            size = shape[axis] if axis is not None and axis < len(shape) else None
            layer = Layer(
                name=paths[0] if paths else tensor,
                tensor=tensor,
                shape=shape,
                channel_axis=axis,
                units=size if isinstance(size, int) else None,
                time_axis=axis_of(labels.get(tensor), "T"),
                module=paths[0] if paths else None,
            )
            if every:
                found += [dataclasses.replace(layer, name=name) for name in (*paths, tensor)]
            elif axis is not None and (paths or tensor in worth):
                found.append(layer)
    return found


def _whole_numbers(model: ModelProto) -> set[str]:
    """Return the tensors that hold no floating-point numbers: inside a quantised model they are no units."""
    onnx = require("onnx", extra="cpu")
    numpy_type = onnx.helper.tensor_dtype_to_np_dtype
    return {name for name, kind in element_types(model).items() if numpy_type(kind).kind in "biu"}


def find_layers(wanted: Sequence[str] | Mapping[str, int], offered: Sequence[Layer], file: str) -> list[Layer]:
    """Return the wanted layers, by name or by tensor; a mapping gives their channel axes.

    Raises
    ------
    InputError
        If one does not exist, with the nearest names, is named twice, or has no certain channel axis.
    """
    if isinstance(wanted, str) or not wanted:
        raise InputError(f"layers is {wanted!r}; give a list of names. {suggest('', [o.name for o in offered])}")
    by_name = {layer.name: layer for layer in offered}
    found: list[Layer] = []
    for name in wanted:
        if name not in by_name:
            raise InputError(f"{file} has no layer {name!r}. {suggest(name, by_name)}")
        layer = by_name[name]
        if layer.tensor in [other.tensor for other in found]:
            raise InputError(f"layers {list(wanted)} name the tensor {layer.tensor!r} twice; name it once")
        if isinstance(wanted, Mapping):
            layer = dataclasses.replace(layer, channel_axis=wanted[name])
        if layer.channel_axis is None:
            raise InputError(
                f"which axis of layer {name!r} (shape {layer.shape}) holds the channels is not certain; say it: "
                f"layers={{{name!r}: axis}}"
            )
        found.append(layer)
    return found


def suggest(name: str, offered: Iterable[str]) -> str:
    """Return a sentence with the offered names nearest to `name`.

    Examples
    --------
    >>> suggest("layer5", ["stem", "layer1", "layer2"])
    'The nearest names: layer2, layer1'
    >>> suggest("x", ["stem", "layer1"])
    'The names: stem, layer1'
    """
    names = [item for item in offered if item]
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    if near:
        return f"The nearest names: {', '.join(near)}"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"The names: {', '.join(names[:12])}{more}"
