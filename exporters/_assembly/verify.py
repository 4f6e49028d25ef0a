"""Prove layers and probes with two different clips, alone and together, against NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, note, require
from sdmetrics.exporters._assembly.opset import OLDEST_OPSET, opset_of
from sdmetrics.exporters._graph.nodes import computed_tensors, fed_inputs, tensors_needed
from sdmetrics.probes.feeds import (
    EXAMPLE_CLIPS,
    Arrays,
    OverBudget,
    example_feeds,
    one_by_one,
    prepare,
    random_feeds,
    select,
)
from sdmetrics.probes.held_inputs import HeldInput, HeldValue
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.layouts import clips_first
from sdmetrics.probes.metadata import Layer
from sdmetrics.probes.onnx_file import set_nodes
from sdmetrics.probes.placement import place_batch, place_in_fixed_batch, pool, relative_error, tolerance
from sdmetrics.probes.session import fixed_batch, in_batches
from sdmetrics.probes.trial import Trial, floats, open_trial, run, run_once, values_in_clip

if TYPE_CHECKING:
    from onnx import ModelProto


QUANTISED = {"DequantizeLinear", "QLinearConv", "QLinearMatMul"}
QUANTISED_TOLERANCE = 5e-2
"""The runtime fuses a quantised model's nodes and rounds less often, so some values fall to the next step."""

LAYERS_AT_ONCE = 16


def place_and_pool(
    model: ModelProto, layers: Sequence[Layer], inputs: Sequence[ModelInput]
) -> tuple[list[Layer], dict[str, NDArray[np.float64]]]:
    """Return the layers with their axes proven, and their pooled units for the clips of `example_feeds`.

    The tensors are read without the runtime's optimisation, which may change them.
    """
    trial = open_tapped(model, layers, inputs, optimise=False)
    feeds, batch = example_feeds(inputs), fixed_batch(model)
    proven: list[Layer] = []
    units: dict[str, NDArray[np.float64]] = {}
    for start in range(0, len(layers), LAYERS_AT_ONCE):
        chunk = layers[start : start + LAYERS_AT_ONCE]
        if batch:
            placed_chunk, units_chunk = _place_and_pool_fixed(trial, chunk, inputs, batch)
            proven += placed_chunk
            units |= units_chunk
            continue
        names = [layer.tensor for layer in chunk]
        alone = [run(trial, prepare(one, inputs), names) for one in one_by_one(feeds)]
        together = run(trial, prepare(feeds, inputs), names)
        for layer in chunk:
            placed = place_batch(layer, together[layer.tensor], [values[layer.tensor] for values in alone])
            proven.append(placed)
            units[layer.name] = pool(together[layer.tensor], placed, EXAMPLE_CLIPS)
    return proven, units


def _place_and_pool_fixed(
    trial: Trial, layers: Sequence[Layer], inputs: Sequence[ModelInput], batch: int
) -> tuple[list[Layer], dict[str, NDArray[np.float64]]]:
    """Do what `place_and_pool` does, for a model that reads `batch` clips at once."""
    names, clips = [layer.tensor for layer in layers], random_feeds(inputs, batch + 1)
    first, second = (
        run_once(trial, prepare(select(clips, slice(start, start + batch)), inputs), names) for start in (0, 1)
    )
    placed = [place_in_fixed_batch(layer, first[layer.tensor], second[layer.tensor], batch) for layer in layers]

    def pooled(fed: Arrays) -> Arrays:
        values = run_once(trial, fed, names)
        return {layer.name: pool(values[layer.tensor], layer, batch) for layer in placed}

    return placed, in_batches(pooled, prepare(example_feeds(inputs), inputs), batch)


def open_tapped(model: ModelProto, layers: Sequence[Layer], inputs: Sequence[ModelInput], optimise: bool) -> Trial:
    """Return a trial of a model that also returns the layers' tensors."""
    onnx = require("onnx", extra="cpu")
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    outputs = {output.name for output in tapped.graph.output}
    for layer in layers:
        if layer.tensor not in outputs:
            tapped.graph.output.add(name=layer.tensor)
    # Without optimisation the runtime runs what leads to no output, and keeps it.
    needed = tensors_needed(tapped.graph)
    set_nodes(tapped.graph, [node for node in tapped.graph.node if not needed.isdisjoint(node.output)])
    batch = fixed_batch(model)
    sizes = [[size for size in layer.shape if isinstance(size, int) and size > 0] for layer in layers]
    returned = sum(map(prod, sizes)) // (batch or 1)
    return open_trial(tapped, values_in_clip(inputs), optimise, batch=batch, returned=returned)


def verify_conversion(
    old: ModelProto,
    newer: ModelProto,
    described: Sequence[ModelInput | HeldInput],
    held: Sequence[HeldValue],
    layers: Sequence[Layer],
) -> None:
    """Compare a model of an old opset with what `with_newer_opset` and `adapt` made of it: outputs and layers.

    Raises
    ------
    InputError
        If they differ.
    """
    video = [item for item in described if isinstance(item, ModelInput)]
    adapted = [replace(item, layout=clips_first(item.layout)) for item in video]
    clips = fixed_batch(newer) or EXAMPLE_CLIPS
    feeds = random_feeds(video, clips)
    kept = [layer for layer in layers if layer.tensor in computed_tensors(old)]
    outputs = {output.name for output in newer.graph.output}
    names = [*outputs, *(layer.tensor for layer in kept if layer.tensor not in outputs)]
    try:
        expected = run_once(open_tapped(old, kept, video, False), _raw_feeds(old, feeds, described, held), names)
    except OverBudget:
        raise
    except InputError as error:
        note(f"the conversion is not compared with the model itself, which does not run: {error}")
        return
    computed = run_once(open_tapped(newer, kept, adapted, False), prepare(feeds, adapted), names)
    for name, value in floats(computed).items():
        difference = relative_error(value, expected[name])
        if difference > max(tolerance(value.dtype), _rounding(newer)):
            raise InputError(
                f"{name} of the model differs by {difference:.1e} of its scale after its conversion from opset "
                f"{opset_of(old)} to {OLDEST_OPSET}: ONNX converts one of its operators to another one. Export it "
                f"again with opset {OLDEST_OPSET} or newer"
            )


def _raw_feeds(
    model: ModelProto, feeds: Arrays, described: Sequence[ModelInput | HeldInput], held: Sequence[HeldValue]
) -> Arrays:
    """Return what a model reads before it is adapted: its own layouts and types, and the inputs that are held."""
    onnx = require("onnx", extra="cpu")
    clips = len(next(iter(feeds.values())))
    still = {item.name: item for item in described if isinstance(item, HeldInput)}
    raw = prepare(feeds, [item for item in described if isinstance(item, ModelInput)])
    for record in held:
        values = still[record.name].values(np.dtype(record.dtype), record.shape)
        raw[record.name] = np.broadcast_to(values, [clips if size == "N" else int(size) for size in record.shape])
    for value in fed_inputs(model.graph):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        array = raw[value.name]
        raw[value.name] = (np.round(array) if dtype.kind in "iu" else array).astype(dtype)
    return raw


def verify_probe(
    probe: ModelProto,
    model: ModelProto,
    inputs: Sequence[ModelInput],
    outputs: Sequence[str],
    units: Arrays,
    masked: bool,
    half: bool = False,
) -> None:
    """Compare a probe, which may have half precision, with the model that it was made from.

    `units` are those that `place_and_pool` returned.

    Raises
    ------
    InputError
        If units or outputs differ, if a clip's units depend on its batch, or if a mask changes no output.
    """
    feeds, rounding = example_feeds(inputs), max(_rounding(model), tolerance(np.dtype(np.float16)) if half else 0)
    values_in, batch = values_in_clip(inputs), fixed_batch(model)
    # The model's session is gone before the probe's needs its memory.
    plain = run(open_trial(model, values_in, batch=batch), prepare(feeds, inputs), outputs)
    expected = plain | {f"units/{layer}": units[layer] for layer in units}
    probed = open_trial(probe, values_in, batch=batch)
    names = [f"units/{layer}" for layer in units]
    values = run(probed, feeds, [*names, *outputs])
    for name, value in floats(values).items():
        error = relative_error(value, expected[name])
        if error > max(tolerance(value.dtype), rounding):
            raise InputError(
                f"{name} of the probe differs from the model's by {error:.1e} of its scale; the runtime's optimisation "
                f"changes it. Choose another layer, or another version of onnxruntime{_of_integers(model)}"
            )
    for index, one in enumerate(one_by_one(feeds)):
        for name, value in run(probed, one, names).items():
            error = relative_error(value[0], values[name][index])
            if error > max(tolerance(value.dtype), rounding):
                raise InputError(
                    f"{name} of a clip changes by {error:.1e} of its scale with the other clips of its batch; export "
                    "the model in evaluation mode, with a dynamic batch"
                )
    for layer, pooled in units.items() if masked else ():
        zeros = {f"mask/{layer}": np.zeros(pooled.shape[1], np.float32)}
        changed = run(probed, {**feeds, **zeros}, outputs)
        if all(np.array_equal(changed[name], values[name]) for name in outputs):
            raise InputError(
                f"removing every unit of layer {layer!r} changes none of the outputs {list(outputs)}: nothing that "
                "reads the layer leads to them. Leave it out, or build the probe without masks"
            )


def _of_integers(model: ModelProto) -> str:
    """Return a further remedy for a quantised model."""
    quantised = any("Quantize" in node.op_type or "Integer" in node.op_type for node in model.graph.node)
    return "; or quantise with reduce_range=True, as int8 sums overflow on processors without VNNI" if quantised else ""


def _rounding(model: ModelProto) -> float:
    """Return the difference that rounding inside a model may cause, if it exceeds that of its output type."""
    onnx = require("onnx", extra="cpu")
    if any(node.op_type in QUANTISED for node in model.graph.node):
        return QUANTISED_TOLERANCE
    half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    return tolerance(np.dtype(np.float16)) if half else 0.0
