"""Finish an export: prove the layers, compare the numbers with the framework's, and write the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.adapt import adapt
from sdmetrics.exporters._assembly.sums import split_sums
from sdmetrics.exporters._graph.axes import axis_of, label_axes
from sdmetrics.exporters._graph.describe_inputs import check_inputs
from sdmetrics.exporters._graph.find_layers import find_layers
from sdmetrics.exporters._graph.nodes import Shape, shapes
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.feeds import Arrays, prepare, random_feeds, select
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Layer, Metadata, write_metadata
from sdmetrics.probes.onnx_file import check_model, save_model
from sdmetrics.probes.placement import place_batch, place_in_fixed_batch, relative_error, tolerance
from sdmetrics.probes.session import fixed_batch
from sdmetrics.probes.trial import floats, open_trial, run_once, values_in_clip

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
    batch: int | None = None,
    trained_on_shuffled: Sequence[str] = (),
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
    batch
        Number of clips that the model reads at once if it reads no other number.
    trained_on_shuffled
        Names of the losses on shuffled clips that the model was trained with.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If a layer has no certain channel axis or does not hold the clips, if the batch is fixed and `batch` is not
        given, or if the ONNX model and the framework differ by more than 1e-3 of a tensor's scale for one or for three
        clips.
    """
    feeds = random_feeds(inputs, batch + 1 if batch else COMPARED_CLIPS)
    spans = _spans(batch)
    expected = [forward(prepare(select(feeds, span), inputs)) for span in spans]
    outputs = [name for name in expected[-1] if not name.startswith(LAYER)]
    check_inputs(model, inputs)
    check_model(model, path.name)
    split_sums(model)
    if batch is None:
        _check_any_batch(model)
    read = adapt(model, inputs)
    located = _located(read.model, shapes(read.model), read.inputs, layers)
    if any(layer.channel_axis is None for layer in located):
        # This runs the whole model once more without any optimisation, so it is done only where it is needed.
        located = _located(read.model, known_shapes(read.model, read.inputs), read.inputs, layers)
    chosen = find_layers(axes or list(layers), located, path.stem)
    placed = [_place(layer, [values[layer.tensor] for values in expected], batch) for layer in chosen]
    metadata = Metadata(
        kind="model",
        name=path.stem,
        inputs=tuple(inputs),
        layers=tuple(placed),
        outputs=tuple(outputs),
        framework=framework,
        sha256=sha256,
        export_error=_compare(model, feeds, inputs, [(spans[0], expected[0]), (spans[-1], expected[-1])], batch),
        trained_on_shuffled=tuple(trained_on_shuffled),
    )
    write_metadata(model, metadata)
    return save_model(model, path)


def _spans(batch: int | None) -> list[slice]:
    """Return which clips are fed together: each one alone, then all; or the first and the last of a fixed batch."""
    if batch:
        return [slice(0, batch), slice(1, batch + 1)]
    return [*(slice(clip, clip + 1) for clip in range(COMPARED_CLIPS)), slice(0, COMPARED_CLIPS)]


def _place(layer: Layer, values: Sequence[NDArray[Any]], batch: int | None) -> Layer:
    """Return a layer with its axes, given its tensors for the clips of `_spans`."""
    if batch:
        first, second = values
        return place_in_fixed_batch(layer, first, second, batch)
    *alone, together = values
    return place_batch(layer, together, alone)


def _check_any_batch(model: ModelProto) -> None:
    """Raise an `InputError` if the model has a fixed batch, which the checks would hide by feeding that many clips."""
    batch = fixed_batch(model)
    if batch is not None:
        raise InputError(
            f"the exported model reads {batch} clip(s) at once and no other number: a part of it treats the number of "
            "clips as a constant, as len(tensor) does; use tensor.shape[0] there, or export a torch module with "
            "batch=1, to be run clip by clip"
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


def _compare(
    model: ModelProto,
    feeds: Arrays,
    inputs: Sequence[ModelInput],
    compared: Sequence[tuple[slice, Arrays]],
    batch: int | None,
) -> float:
    """Return the largest relative difference between ONNX model and framework, given the framework's for some clips."""
    trial = open_trial(model, values_in_clip(inputs), batch=batch)
    worst = 0.0
    for span, expected in compared:
        values = run_once(trial, prepare(select(feeds, span), inputs), list(expected))
        for name, value in floats(values).items():
            error = relative_error(value, expected[name])
            if error > tolerance(value.dtype):
                raise InputError(
                    f"the ONNX model's {name} differs from the framework's by {error:.1e} of its scale for "
                    f"{span.stop - span.start} clip(s); the export is wrong. Name other layers, or run a torch module "
                    "as it is: sdmetrics analyze FILE.py:FUNCTION CLIPS"
                )
            worst = max(worst, error)
    return worst
