"""Finish an export: prove the layers, compare the numbers with the framework's, and write the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.adapt import adapt
from sdmetrics.exporters._graph.axes import axis_of, label_axes
from sdmetrics.exporters._graph.describe_inputs import check_inputs
from sdmetrics.exporters._graph.find_layers import find_layers
from sdmetrics.exporters._graph.nodes import Shape, shapes
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.feeds import Arrays, prepare, random_feeds, select
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Layer, Metadata, write_metadata
from sdmetrics.probes.onnx_file import check_model, save_model
from sdmetrics.probes.placement import place_batch, relative_error, tolerance
from sdmetrics.probes.session import fixed_batch
from sdmetrics.probes.trial import floats, open_trial, run, values_in_clip

if TYPE_CHECKING:
    from onnx import ModelProto

LAYER = "layer/"
"""An exported model's output `layer/<name>` is the layer's tensor."""

COMPARED_CLIPS = 3
"""Number of the random clips for which an exported model is compared with the framework's."""


def finish_export(
    model: ModelProto,
    path: Path,
    *,
    inputs: Sequence[ModelInput],
    layers: Mapping[str, str],
    axes: Mapping[str, int] | None,
    forward: Callable[[Arrays], Arrays],
    framework: str,
    sha256: str,
) -> Path:
    """Prove the layers and numbers of an exported model, add its metadata, and save it.

    Parameters
    ----------
    model
        The ONNX model: inputs named as in `inputs`, the framework's outputs, and `layer/<name>` for every layer.
    path
        Where the file is written.
    inputs
        How the model is fed.
    layers
        Name of each layer and path of its module in the framework.
    axes
        Channel axes of the layers, if the user specified them.
    forward
        The framework's own model: takes arrays by input name, as `prepare` returns them, and returns arrays by output
        name, including the layers' `layer/<name>`.
    framework, sha256
        Name and version of the framework, hash of the weights.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If a layer has no certain channel axis or does not hold the clips, if the batch is fixed, or if the ONNX model
        and the framework differ by more than 1e-3 of a tensor's scale for one or for three clips.
    """
    feeds = random_feeds(inputs, COMPARED_CLIPS)
    together = forward(prepare(feeds, inputs))
    alone = [forward(prepare(select(feeds, slice(i, i + 1)), inputs)) for i in range(COMPARED_CLIPS)]
    outputs = [name for name in together if not name.startswith(LAYER)]
    check_inputs(model, inputs)
    check_model(model, path.name)
    _check_any_batch(model)
    read = adapt(model, inputs)
    located = _located(read.model, shapes(read.model), read.inputs, layers)
    if any(layer.channel_axis is None for layer in located):
        # This runs the whole model once more without any optimisation, so it is done only where it is needed.
        located = _located(read.model, known_shapes(read.model, read.inputs), read.inputs, layers)
    chosen = find_layers(axes or list(layers), located, path.stem)
    placed = [
        place_batch(layer, together[layer.tensor], [values[layer.tensor] for values in alone]) for layer in chosen
    ]
    metadata = Metadata(
        kind="model",
        name=path.stem,
        inputs=tuple(inputs),
        layers=tuple(placed),
        outputs=tuple(outputs),
        framework=framework,
        sha256=sha256,
        export_error=_compare(model, feeds, inputs, together, alone[0]),
    )
    write_metadata(model, metadata)
    return save_model(model, path)


def _check_any_batch(model: ModelProto) -> None:
    """Raise an `InputError` if the model has a fixed batch, which the checks would hide by feeding that many clips."""
    batch = fixed_batch(model)
    if batch is not None:
        raise InputError(
            f"the exported model reads {batch} clip(s) at once and no other number: a part of it treats the number of "
            "clips as a constant, as len(tensor) does; use tensor.shape[0] there"
        )


def _located(
    model: ModelProto, known: Mapping[str, Shape], inputs: Sequence[ModelInput], layers: Mapping[str, str]
) -> list[Layer]:
    """Return the layers with the axes that follow from the known shapes."""
    labels = label_axes(model, known, {item.name: item.layout for item in inputs})
    return [
        Layer(
            name=name,
            tensor=LAYER + name,
            shape=known.get(LAYER + name, ()),
            channel_axis=axis_of(labels.get(LAYER + name), "C"),
            time_axis=axis_of(labels.get(LAYER + name), "T"),
            module=module,
        )
        for name, module in layers.items()
    ]


def _compare(model: ModelProto, feeds: Arrays, inputs: Sequence[ModelInput], together: Arrays, first: Arrays) -> float:
    """Return the largest relative difference between ONNX model and framework, for one and for several clips."""
    trial = open_trial(model, values_in_clip(inputs))
    worst = 0.0
    for clips, expected in ((1, first), (COMPARED_CLIPS, together)):
        values = run(trial, prepare(select(feeds, slice(clips)), inputs), list(expected))
        for name, value in floats(values).items():
            error = relative_error(value, expected[name])
            if error > tolerance(value.dtype):
                raise InputError(
                    f"the ONNX model's {name} differs from the framework's by {error:.1e} of its scale for {clips} "
                    "clip(s); the export is wrong. Name other layers, or run a torch module as it is: "
                    "sdmetrics analyze FILE.py:FUNCTION CLIPS"
                )
            worst = max(worst, error)
    return worst
