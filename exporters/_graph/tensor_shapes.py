"""Shapes of every tensor, from a run where the file and ONNX's inference are silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._graph.axis_factors import size_of
from sdmetrics.exporters._graph.nodes import Shape, fed_inputs, shapes
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.session import fixed_batch, open_session, run_once

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

CLIPS = (2, 3)
PREFIX = "sdmetrics/shape/"


def known_shapes(model: ModelProto, inputs: Sequence[ModelInput]) -> dict[str, Shape]:
    """Return the shape of every tensor: as ONNX infers it, and where that leaves gaps, as a run on random clips shows.

    A run with two and one with three clips tell which dimension grows with them; a fixed batch has one size.
    """
    static = _inferred(model)
    symbols = {size for value in fed_inputs(model.graph) for size in static.get(value.name, ()) if size != "?"}
    outputs = [name for node in model.graph.node for name in node.output if name]
    if all(name in static and _told(static[name], symbols) for name in outputs):
        return static
    batch = fixed_batch(model)
    try:
        session, names = _with_shapes(model, outputs)
        runs = [
            {
                name: tuple(map(int, size))
                for name, size in run_once(session, prepare(feeds, inputs), list(names)).items()
            }
            for feeds in (random_feeds(inputs, clips) for clips in ([batch] if batch else CLIPS))
        ]
    except InputError:
        # A model that cannot run will say so where it is measured; what the file tells has to do until then.
        return static
    symbol = next((str(size) for size in static.get(inputs[0].name, ())[:1] if size != "?"), "clips")
    found = {names[name]: _joined([shown[name] for shown in runs], symbol) for name in names}
    return static | found


def _inferred(model: ModelProto) -> dict[str, Shape]:
    """Return the shapes that follow from the graph: what a file says of its inner tensors is not always right."""
    stated = [type(value).FromString(value.SerializeToString()) for value in model.graph.value_info]
    del model.graph.value_info[:]
    try:
        return shapes(model)
    finally:
        model.graph.value_info.extend(stated)


def _told(shape: Shape, symbols: set[int | str]) -> bool:
    """Return whether every size is a number or a multiple of an input's size."""
    return all(isinstance(size, int) or set(size_of(size)[1]) <= symbols for size in shape)


def _with_shapes(model: ModelProto, tensors: Sequence[str]) -> tuple[InferenceSession, Mapping[str, str]]:
    """Return a session that gives every tensor's shape and none of its values, and the names of its outputs."""
    onnx = require("onnx", extra="cpu")
    told = onnx.ModelProto()
    told.CopyFrom(model)
    names = {f"{PREFIX}{index}": tensor for index, tensor in enumerate(tensors)}
    for name, tensor in names.items():
        told.graph.node.append(onnx.helper.make_node("Shape", [tensor], [name]))
        told.graph.output.add(name=name)
    return open_session(told.SerializeToString(), optimise=False), names


def _joined(sizes: Sequence[tuple[int, ...]], symbol: str) -> Shape:
    """Return one shape for runs with different numbers of clips."""
    if len(sizes) == 1:
        return sizes[0]
    few, more = CLIPS
    return tuple(
        a if a == b else symbol if a == few and b == more else f"{a // few}*{symbol}" if a * more == b * few else "?"
        for a, b in zip(*sizes, strict=True)
    )
