"""Find candidates for layers in a graph that declares none, and look up requested layers."""

from __future__ import annotations

import dataclasses
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require, suggest
from sdmetrics.exporters._graph.axes import axis_of, label_axes
from sdmetrics.exporters._graph.guess_layout import guess_layout
from sdmetrics.exporters._graph.layer_candidates import worth_listing
from sdmetrics.exporters._graph.module_scopes import module_outputs
from sdmetrics.exporters._graph.nodes import Shape, element_types, fed_inputs, shapes, tensors_needed
from sdmetrics.probes.metadata import Layer

if TYPE_CHECKING:
    from onnx import ModelProto


def candidates(
    model: ModelProto,
    layouts: Mapping[str, str] | None = None,
    every: bool = False,
    known: Mapping[str, Shape] | None = None,
) -> list[Layer]:
    """List the layers of a model that declares none; with `every`, all of its tensors under all of their names.

    Tensors that no output depends on are not listed.

    `layouts` are the axes of the model's inputs and `known` the shapes of its tensors, if more is known about them than
    the file states.
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
    needed = tensors_needed(model.graph)
    listed = [tensor for node in model.graph.node for tensor in node.output if tensor and (every or tensor in needed)]
    for tensor in listed:
        # A container and its last child share a tensor, which is named by the shortest path.
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
    """Return the tensors that do not hold floating-point numbers. In a quantised model they are not units."""
    onnx = require("onnx", extra="cpu")
    numpy_type = onnx.helper.tensor_dtype_to_np_dtype
    return {name for name, kind in element_types(model).items() if numpy_type(kind).kind in "biu"}


def find_layers(
    requested: Sequence[str] | Mapping[str, int | None], offered: Sequence[Layer], file: str
) -> list[Layer]:
    """Return the requested layers, by name or by tensor. A mapping specifies their channel axes, None where certain.

    Raises
    ------
    InputError
        If a layer does not exist (with the nearest names), is named twice, or has no certain channel axis.
    """
    if isinstance(requested, str) or not requested:
        names = [layer.name for layer in offered]
        raise InputError(f"layers is {requested!r}; expected a list of names. {suggest('', names)}")
    by_name = {layer.name: layer for layer in offered}
    found: list[Layer] = []
    for name in requested:
        if name not in by_name:
            raise InputError(f"{file} has no layer {name!r}. {suggest(name, by_name)}")
        layer = by_name[name]
        if layer.tensor in [other.tensor for other in found]:
            raise InputError(f"layers {list(requested)} name the tensor {layer.tensor!r} twice; name it once")
        axis = requested[name] if isinstance(requested, Mapping) else None
        if axis is not None:
            layer = dataclasses.replace(layer, channel_axis=axis)
        if layer.channel_axis is None:
            likely = max(len(layer.shape) - 1, 1)
            raise InputError(
                f"which axis of layer {name!r} (shape {layer.shape}) holds the channels is not certain; specify it, "
                f"e.g. --layer {shlex.quote(f'{name} axis={likely}')}, in Python layers={{{name!r}: {likely}}}"
            )
        found.append(layer)
    return found
