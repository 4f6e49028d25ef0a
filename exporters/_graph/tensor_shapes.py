"""Determine the shape of every tensor, by a run if the file and ONNX's inference leave it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, note, require
from sdmetrics.exporters._graph.axis_factors import size_of
from sdmetrics.exporters._graph.nodes import Shape, computed_tensors, fed_inputs, shapes
from sdmetrics.probes.feeds import OverBudget, prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.session import fixed_batch
from sdmetrics.probes.trial import Trial, open_trial, run_once, values_in_clip

if TYPE_CHECKING:
    from onnx import ModelProto

BATCHES = (2, 3)
"""Numbers of clips that are run; a dimension that grows with them depends on the batch."""

PREFIX = "sdmetrics/shape/"


def known_shapes(model: ModelProto, inputs: Sequence[ModelInput]) -> dict[str, Shape]:
    """Return the shape of every tensor, as ONNX infers it or, where that leaves gaps, from runs on random clips.

    Runs with two and with three clips show which dimensions grow with the batch; a fixed batch is run only once.
    """
    static = _inferred(model)
    symbols = {size for value in fed_inputs(model.graph) for size in static.get(value.name, ()) if size != "?"}
    outputs = computed_tensors(model)
    if all(name in static and _is_known(static[name], symbols) for name in outputs):
        return static
    batch = fixed_batch(model)
    try:
        trial, names = _with_shapes(model, outputs, values_in_clip(inputs), batch)
        runs = [
            {name: tuple(map(int, size)) for name, size in run_once(trial, prepare(feeds, inputs), list(names)).items()}
            for feeds in (random_feeds(inputs, clips) for clips in ([batch] if batch else BATCHES))
        ]
    except OverBudget:
        raise
    except InputError as error:
        note(f"the shapes listed are only those that the file states, as the model cannot be run: {error}")
        return static
    symbol = next((str(size) for size in static.get(inputs[0].name, ())[:1] if size != "?"), "clips")
    measured = {names[name]: _joined([shown[name] for shown in runs], symbol) for name in names}
    return static | measured


def _inferred(model: ModelProto) -> dict[str, Shape]:
    """Return the shapes that follow from the graph, as those that a file states for inner tensors can be wrong."""
    stated = [type(value).FromString(value.SerializeToString()) for value in model.graph.value_info]
    del model.graph.value_info[:]
    try:
        return shapes(model)
    finally:
        model.graph.value_info.extend(stated)


def _is_known(shape: Shape, symbols: set[int | str]) -> bool:
    """Return whether every size is a number or a multiple of an input's size."""
    return all(isinstance(size, int) or set(size_of(size)[1]) <= symbols for size in shape)


def _with_shapes(
    model: ModelProto, tensors: Sequence[str], values: int, batch: int | None
) -> tuple[Trial, Mapping[str, str]]:
    """Return a trial that outputs the shapes of tensors but not their values, and the names of its outputs."""
    onnx = require("onnx", extra="cpu")
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    names = {f"{PREFIX}{index}": tensor for index, tensor in enumerate(tensors)}
    for name, tensor in names.items():
        tapped.graph.node.append(onnx.helper.make_node("Shape", [tensor], [name]))
        tapped.graph.output.add(name=name)
    return open_trial(tapped, values, optimise=False, batch=batch), names


def _joined(sizes: Sequence[tuple[int, ...]], symbol: str) -> Shape:
    """Combine the shapes of runs with different numbers of clips into one."""
    if len(sizes) == 1:
        return sizes[0]
    few, more = BATCHES
    return tuple(
        a if a == b else symbol if a == few and b == more else f"{a // few}*{symbol}" if a * more == b * few else "?"
        for a, b in zip(*sizes, strict=True)
    )
