"""The end of every export: the layers proven, the numbers compared with the framework's, the file written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.exporters._graph.axes import axis_of, label_axes
from sdmetrics.exporters._graph.describe_inputs import check_inputs
from sdmetrics.exporters._graph.find_layers import find_layers
from sdmetrics.exporters._graph.nodes import Shape, shapes
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.feeds import prepare, random_feeds, select
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Layer, Metadata, write_metadata
from sdmetrics.probes.onnx_file import check_model, save_model
from sdmetrics.probes.placement import place_batch, relative_error, tolerance
from sdmetrics.probes.session import fixed_batch, floats, open_session, run

if TYPE_CHECKING:
    from onnx import ModelProto

LAYER = "layer/"
"""An exported model's output `layer/<name>` is the layer's tensor."""

CLIPS = 3

Arrays = Mapping[str, NDArray[Any]]


def declare(
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
    """Prove an exported model's layers and numbers, write into it what it is, and save it.

    Parameters
    ----------
    model
        The ONNX model: inputs named as in `inputs`, the framework's outputs, and `layer/<name>` for every layer.
    path
        Where the file goes.
    inputs
        How the model is fed.
    layers
        Name of each layer and path of its module in the framework.
    axes
        Channel axes of the layers, where the user gives them.
    forward
        The framework's own model: arrays by input name, as `prepare` makes them, to arrays by output name, with
        the layers' `layer/<name>` among them.
    framework, sha256
        Name and version of the framework, hash of the weights.

    Raises
    ------
    InputError
        If a layer has no certain channel axis or does not hold the clips, if the batch is fixed, or if the ONNX model
        and the framework differ by more than 1e-3 of a tensor's scale for one or for three clips.
    """
    feeds = random_feeds(inputs, CLIPS)
    together = forward(prepare(feeds, inputs))
    alone = [forward(prepare(select(feeds, slice(i, i + 1)), inputs)) for i in range(CLIPS)]
    outputs = [name for name in together if not name.startswith(LAYER)]
    check_inputs(model, inputs)
    check_model(model, path.name)
    _insist_any_batch(model)
    offered = _offer(model, shapes(model), inputs, layers)
    if any(layer.channel_axis is None for layer in offered):
        # Only then, as this runs the whole model once more with nothing of it optimised.
        offered = _offer(model, known_shapes(model, inputs), inputs, layers)
    chosen = find_layers(axes or list(layers), offered, path.stem)
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


def _insist_any_batch(model: ModelProto) -> None:
    """Refuse a model that reads one number of clips only; what checks it would feed it in batches of that size."""
    batch = fixed_batch(model)
    if batch is not None:
        raise InputError(
            f"the exported model reads {batch} clip(s) at once and no other number: a part of it takes the number of "
            "clips for a constant, as len(tensor) does; use tensor.shape[0] there"
        )


def _offer(
    model: ModelProto, known: Mapping[str, Shape], inputs: Sequence[ModelInput], layers: Mapping[str, str]
) -> list[Layer]:
    """Return the layers with the axes that follow from the shapes that are known."""
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
    """Return the largest relative difference between ONNX model and framework, for one clip and for several."""
    session = open_session(model.SerializeToString())
    worst = 0.0
    for clips, expected in ((1, first), (CLIPS, together)):
        found = run(session, prepare(select(feeds, slice(clips)), inputs), list(expected))
        for name, value in floats(found).items():
            error = relative_error(value, expected[name])
            if error > tolerance(value.dtype):
                raise InputError(
                    f"the ONNX model's {name} differs from the framework's by {error:.1e} of its scale for {clips} "
                    "clip(s); the export is wrong. Name other layers, or analyse a torch module with "
                    "sdmetrics.runners.torch"
                )
            worst = max(worst, error)
    return worst
