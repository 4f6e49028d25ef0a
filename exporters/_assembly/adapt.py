"""Adapt a model to the one way in which all are run: clips first, one axis per letter, floats, and only video fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from sdmetrics.errors import InputError, note, require
from sdmetrics.exporters._graph.describe_inputs import FLOATS, WHOLE
from sdmetrics.exporters._graph.nodes import Shape, fed_inputs, rename_uses, shapes
from sdmetrics.probes.held_inputs import HeldInput, HeldValue
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.layouts import axes_of, clips_first
from sdmetrics.probes.onnx_file import set_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

PREFIX = "sdmetrics/adapted/"
CLIPS = "clips"
"""The name of the number of clips, where the file has none."""


@dataclass(frozen=True)
class Adapted:
    """A model that reads video in the one way, the description of that, and what its other inputs are held at."""

    model: ModelProto
    inputs: tuple[ModelInput, ...]
    held: tuple[HeldValue, ...] = ()


def adapt(model: ModelProto, described: Sequence[ModelInput | HeldInput]) -> Adapted:
    """Return the model with the nodes that lay out its video inputs, and with its other inputs held still.

    The model is changed only where it needs to be.

    Raises
    ------
    InputError
        If an input cannot be held at its value, or an output of the model is not a tensor and no other exists.
    """
    video = [item for item in described if isinstance(item, ModelInput)]
    still = [item for item in described if isinstance(item, HeldInput)]
    known = shapes(model)
    values = {value.name: value for value in fed_inputs(model.graph)}
    changed = [item for item in video if _differs(item, values[item.name], known.get(item.name))]
    others = [output.name for output in model.graph.output if not output.type.HasField("tensor_type")]
    if not (changed or still or others):
        return Adapted(model, tuple(video))
    onnx = require("onnx", extra="cpu")
    adapted: ModelProto = onnx.ModelProto()
    adapted.CopyFrom(model)
    # Before this version every constant has to be an input as well.
    adapted.ir_version = max(adapted.ir_version, 4)
    if others:
        _drop_outputs(adapted, others)
    graph = _Front(adapted)
    for item in changed:
        graph.lay_out(item, values[item.name], known.get(item.name))
    symbol = _symbol(video[0], known.get(video[0].name))
    held = tuple(graph.hold(item, known.get(item.name), symbol, video[0].name) for item in still)
    set_nodes(adapted.graph, [*graph.made, *adapted.graph.node])
    return Adapted(adapted, tuple(replace(item, layout=clips_first(item.layout)) for item in video), held)


def clips_at_once(item: ModelInput, shape: Shape | None) -> int | None:
    """Return the number of clips that a shape fixes an input to, or None."""
    if shape is None:
        return None
    sizes = {"T": item.frames, "C": item.channels, "H": item.size[0], "W": item.size[1]}
    for axis, size in zip(axes_of(item.layout), shape, strict=False):
        if "N" in axis:
            per_clip = prod(sizes[letter] for letter in axis if letter != "N")
            return max(1, size // per_clip) if isinstance(size, int) else None
    return 1


def _differs(item: ModelInput, value: ValueInfoProto, shape: Shape | None) -> bool:
    """Return whether an input has to be laid out: another layout or type, or a shape that does not describe it."""
    onnx = require("onnx", extra="cpu")
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
    unlike = clips_first(item.layout) != item.layout or kind not in FLOATS
    return unlike or shape is None or (isinstance(shape[0], str) and shape[0] != "?" and shape[0] in shape[1:])


def _symbol(item: ModelInput, shape: Shape | None) -> str:
    """Return the name that a file uses for the number of clips of an input, or `"?"`."""
    axes = axes_of(item.layout)
    entry = shape[axes.index("N")] if shape is not None and "N" in axes else "?"
    return entry if isinstance(entry, str) and shape is not None and shape.count(entry) == 1 else "?"


def _drop_outputs(model: ModelProto, names: Sequence[str]) -> None:
    """Leave out the outputs that are not tensors, e.g. sequences."""
    kept = [output for output in model.graph.output if output.name not in names]
    if not kept:
        raise InputError(f"the model returns only {', '.join(names)}, which are not tensors; add an output that is one")
    note(f"{len(names)} output(s) of the model are left out because they are not tensors: {', '.join(names)}")
    outputs = [type(output).FromString(output.SerializeToString()) for output in kept]
    del model.graph.output[:]
    model.graph.output.extend(outputs)


class _Front:
    """The nodes that are put in front of a model."""

    def __init__(self, model: ModelProto) -> None:
        self.onnx = require("onnx", extra="cpu")
        self.graph = model.graph
        self.made: list[NodeProto] = []

    def put(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        """Add a node and return the name of its output."""
        self.made.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Any) -> str:  # noqa: ANN401 (anything that is an array)
        """Add a constant and return its name."""
        self.graph.initializer.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def lay_out(self, item: ModelInput, value: ValueInfoProto, shape: Shape | None) -> None:
        """Let an input read clips first and one axis per letter, as floats."""
        inner, kind = PREFIX + item.name, value.type.tensor_type.elem_type
        axes, layout = axes_of(item.layout), clips_first(item.layout)
        rename_uses(self.graph, item.name, inner)
        clips = clips_at_once(item, shape)
        sizes: dict[str, Any] = {"T": item.frames, "C": item.channels, "H": item.size[0], "W": item.size[1]}
        whole = self.onnx.TensorProto.DataType.Name(kind) not in FLOATS
        tensor = item.name
        if whole:
            tensor = self.put("Round", [tensor], f"{inner}/rounded")
            tensor = self.put("Cast", [tensor], f"{inner}/whole", to=kind)
        letters = "".join(axes)
        if "N" in letters:
            order = [layout.index(letter) for letter in letters]
            tensor = self.put("Transpose", [tensor], f"{inner}/transposed", perm=order)
        entries = [
            -1 if "N" in axis and clips is None else prod({**sizes, "N": clips}[letter] for letter in axis)
            for axis in axes
        ]
        self.put("Reshape", [tensor, self.constant(f"{inner}/shape", np.array(entries, np.int64))], inner)
        fed = next(each for each in self.graph.input if each.name == item.name)
        symbol = _symbol(item, shape)
        dims = [clips or (CLIPS if symbol == "?" else symbol), *(sizes[letter] for letter in layout[1:])]
        float32 = self.onnx.TensorProto.FLOAT
        fed.CopyFrom(self.onnx.helper.make_tensor_value_info(item.name, float32 if whole else kind, dims))

    def hold(self, item: HeldInput, shape: Shape | None, symbol: str, fed: str) -> HeldValue:
        """Replace an input by a constant, repeated for every clip where it has an axis of clips."""
        value = next(each for each in self.graph.input if each.name == item.name)
        dtype = self._dtype(value)
        record = item.described(dtype, _held_shape(item, shape, symbol))
        opened = (
            item.shape is None
            and np.ndim(item.value) == 0
            and any(
                has != "N" and isinstance(stated, str) for has, stated in zip(record.shape, shape or (), strict=False)
            )
        )
        note(
            f"input {record}"
            + (" (1 for sizes that the file leaves open or states as 0; see shape=)" if opened else "")
        )
        values, inner = item.values(dtype, record.shape), PREFIX + item.name
        self.graph.input.remove(value)
        if "N" not in record.shape:
            self.constant(item.name, values)
            return record
        rename_uses(self.graph, item.name, inner)
        one = self.constant(f"{inner}/one", values)
        clips = self.put("Gather", [self.put("Shape", [fed], f"{inner}/fed"), self._index()], f"{inner}/clips")
        parts = [
            clips if entry == "N" else self.constant(f"{inner}/axis{index}", np.array([entry], np.int64))
            for index, entry in enumerate(record.shape)
        ]
        self.put("Expand", [one, self.put("Concat", parts, f"{inner}/size", axis=0)], inner)
        return record

    def _index(self) -> str:
        """Return the name of the constant `[0]`."""
        name = f"{PREFIX}first"
        if name not in [each.name for each in self.graph.initializer]:
            self.constant(name, np.array([0], np.int64))
        return name

    def _dtype(self, value: ValueInfoProto) -> np.dtype[Any]:
        """Return NumPy's type of an input."""
        kind = value.type.tensor_type.elem_type
        name = self.onnx.TensorProto.DataType.Name(kind) if value.type.HasField("tensor_type") else "no tensor"
        if name not in (*FLOATS, *WHOLE, "BOOL"):
            raise InputError(
                f"model input {value.name!r} is of type {name}, which cannot be held still; export the model without it"
            )
        dtype: np.dtype[Any] = self.onnx.helper.tensor_dtype_to_np_dtype(kind)
        return dtype


def _held_shape(item: HeldInput, shape: Shape | None, symbol: str) -> tuple[int | str, ...]:
    """Return the shape that an input is held in: as specified, else the model's, open sizes as in the array or 1.

    An axis is one of clips if it has the video's `symbol` for their number.
    """
    given = np.shape(item.value)
    model_shape = shape if shape is not None else item.shape if item.shape is not None else given
    if item.shape is None:
        rank = len(model_shape)
        sizes = given if len(given) == rank else (1, *given) if len(given) == rank - 1 else (1,) * rank
        pairs = zip(model_shape, sizes, strict=True)
        return tuple(
            entry if isinstance(entry, int) else "N" if entry == symbol != "?" else size for entry, size in pairs
        )
    fits = len(item.shape) == len(model_shape) and all(
        isinstance(has, str) or wants in (has, "N") for has, wants in zip(model_shape, item.shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"input {item.name!r} is held in the shape {item.shape}; the model reads {model_shape}. Pass a size for "
            "every axis, or N for the clips"
        )
    return item.shape
