"""Find the batch size of models that cannot read any number of clips, by trying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._graph.nodes import fed_inputs
from sdmetrics.probes.feeds import OverBudget, prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.session import fixed_batch
from sdmetrics.probes.trial import Trial, open_trial, run, values_in_clip

if TYPE_CHECKING:
    from onnx import ModelProto

MORE = 3
TRIED = (1, 2, 4, 8, 16, 32)


def with_working_batch(model: ModelProto, inputs: Sequence[ModelInput]) -> ModelProto:
    """Return the model; if it cannot read any number of clips, fix its inputs to a number that it can read.

    One reason is a reshape to the number of clips that the exporter saw. Another is dynamic quantisation, whose steps
    depend on all clips of a batch.
    """
    if fixed_batch(model) is not None:
        return model
    if any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.node):
        return _with_batch(model, 1)
    outputs = [output.name for output in model.graph.output]
    trial = open_trial(model, values_in_clip(inputs), fold=False)
    if _runs(trial, inputs, 1, outputs) and _runs(trial, inputs, MORE, outputs):
        return model
    working = _working(trial, inputs, outputs)
    return model if working is None else _with_batch(model, working)


def _working(trial: Trial, inputs: Sequence[ModelInput], outputs: Sequence[str]) -> int | None:
    """Return the smallest batch that a model can read, or None: what it fails on for one clip is told by who runs it.

    That is None, too, where larger batches are too much to be tried.
    """
    for batch in TRIED:
        try:
            if _runs(trial, inputs, batch, outputs):
                return batch
        except OverBudget:
            return None
    return None


def _runs(trial: Trial, inputs: Sequence[ModelInput], clips: int, outputs: Sequence[str]) -> bool:
    """Return whether a model can read that many clips."""
    try:
        run(trial, prepare(random_feeds(inputs, clips), inputs), outputs)
    except OverBudget:
        raise
    except InputError:
        return False
    return True


def _with_batch(model: ModelProto, batch: int) -> ModelProto:
    """Return a copy of a model whose inputs are fixed to a number of clips."""
    onnx = require("onnx", extra="cpu")
    fixed: ModelProto = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in fed_inputs(fixed.graph):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    return fixed
