"""Proofs that a layer is what it is said to be: two different clips, alone and together, against NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.views import ModelInput
from sdmetrics.errors import InputError, require
from sdmetrics.exporters.batches import fixed_batch, in_batches, session_batch
from sdmetrics.exporters._graph.describe_inputs import Feeds, prepare, random_feeds, select
from sdmetrics.probes.metadata import Layer
from sdmetrics.probes.session import open_session

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

Arrays = Mapping[str, NDArray[Any]]

FLOAT_TYPES = {"tensor(float16)": np.float16, "tensor(double)": np.float64}
CLIPS = 2
QUANTISED = {"DequantizeLinear", "QLinearConv", "QLinearMatMul"}
QUANTISED_TOLERANCE = 5e-2
"""The runtime fuses a quantised model's nodes and rounds less often: some values fall to the next step."""
CLEARLY = 10
"""How many times larger than the right fold's the wrong one's error has to be."""

LAYERS_AT_ONCE = 16


def tolerance(dtype: np.dtype[Any]) -> float:
    """Return the largest difference, relative to a tensor's scale, that rounding in `dtype` may cause."""
    return 1e-3 if np.finfo(dtype).eps < 1e-4 else 3e-2


def relative_error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference over the largest value expected; infinite where shapes or infinities differ.

    Examples
    --------
    >>> relative_error(np.array([1.0, 2.5, np.inf]), np.array([1.0, 2.0, np.inf]))
    0.25
    """
    if found.shape != expected.shape:
        return float("inf")
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    difference = np.abs(found[~same] - expected[~same]).max(initial=0)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    error = float(difference / scale if scale else difference)
    return error if np.isfinite(error) else float("inf")


def place_batch(layer: Layer, together: NDArray[Any], alone: Sequence[NDArray[Any]]) -> Layer:
    """Return `layer` with the batch axis, the fold and the units that its values prove.

    `together` is its tensor for some clips in one batch, `alone` the same for each clip by itself.

    Raises
    ------
    InputError
        If the tensor does not hold the clips one beside the other.
    """
    _check_values(layer, together)
    single = alone[0].shape
    grown = [
        axis for axis in range(len(single)) if together.ndim == len(single) and together.shape[axis] != single[axis]
    ]
    if len(grown) != 1 or together.shape[grown[0]] != len(alone) * single[grown[0]]:
        raise InputError(
            f"layer {layer.name!r} has the shape {single} for one clip and {together.shape} for {len(alone)}: no axis "
            "holds the clips. Choose another layer, or export with a dynamic batch"
        )
    axis, channel = grown[0], _channel_of(layer, single)
    if channel == axis:
        raise InputError(
            f"layer {layer.name!r} of shape {single} has its clips in axis {axis} and cannot have its channels in axis "
            f"{layer.channel_axis}; name another axis"
        )
    values = np.moveaxis(together, axis, 0)
    parts = [np.moveaxis(part, axis, 0) for part in alone]
    errors = {
        "batch-major": relative_error(values, np.concatenate(parts)),
        "time-major": relative_error(values, np.stack(parts, 1).reshape(values.shape)),
    }
    fold, other = sorted(errors, key=errors.__getitem__)
    folded = single[axis] > 1
    if errors[fold] > tolerance(together.dtype):
        raise InputError(
            f"layer {layer.name!r} gives a clip other values alone than in a batch: the model mixes the clips of a "
            "batch. Export it in evaluation mode, with a dynamic batch"
        )
    if folded and errors[other] <= CLEARLY * errors[fold]:
        raise InputError(
            f"layer {layer.name!r} gives the same values for every frame of every clip tried, so the order of clips "
            "and frames in its first axis cannot be told; choose another layer"
        )
    return _placed(layer, single, axis, fold if folded else None)


def place_in_fixed_batch(layer: Layer, first: NDArray[Any], second: NDArray[Any], batch: int) -> Layer:
    """Return `layer` as `place_batch` does, for a model that reads a fixed number of clips.

    `first` is its tensor for `batch` clips; `second` that for the clips behind the first one and another at the end.

    Raises
    ------
    InputError
        If the tensor does not hold the clips one beside the other.
    """
    _check_values(layer, first)
    shape, channel = first.shape, _channel_of(layer, first.shape)
    others = [axis for axis in range(len(shape)) if axis != channel]
    if batch == 1 and others and relative_error(first, second):
        # With one clip all but the channels is averaged, wherever the clip's own axis lies.
        axis = next((axis for axis in others if shape[axis] == 1), others[0])
        return _placed(layer, shape, axis, "batch-major" if shape[axis] > 1 else None)
    errors: dict[tuple[int, str | None], float] = {}
    for axis in others if batch > 1 else ():
        rows, later = np.moveaxis(first, axis, 0), np.moveaxis(second, axis, 0)
        per_clip, rest = divmod(len(rows), batch)
        for fold in () if rest else (None,) if per_clip == 1 else ("batch-major", "time-major"):
            split, clips = ((-1, batch), 1) if fold == "time-major" else ((batch, -1), 0)
            one, two = (np.moveaxis(each.reshape(*split, *each.shape[1:]), clips, 0) for each in (rows, later))
            if relative_error(two[:-1], one[:-1]) > tolerance(first.dtype):
                errors[axis, fold] = relative_error(two[:-1], one[1:])
    axis_fold = min(errors, key=errors.__getitem__, default=None)
    if axis_fold is None or errors[axis_fold] > tolerance(first.dtype):
        raise InputError(
            f"layer {layer.name!r} of shape {shape} does not hold the {batch} clip(s) of the model's fixed batch one "
            "beside the other, or mixes them. Choose another layer, or export with a dynamic batch"
        )
    return _placed(layer, shape, *axis_fold)


def _check_values(layer: Layer, values: NDArray[Any]) -> None:
    """Raise an `InputError` unless a layer gives finite floating-point numbers."""
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"layer {layer.name!r} holds {values.dtype}; units are floating-point numbers. Choose another layer, "
            "or quantise the model in the QDQ format"
        )
    if not np.isfinite(values).all():
        raise InputError(
            f"layer {layer.name!r} gives values that are not finite for random clips; mend the model, or how it is fed"
        )


def _channel_of(layer: Layer, shape: tuple[int, ...]) -> int:
    """Return the layer's channel axis, counted from the first."""
    channel = layer.channel_axis
    if channel is None or not -len(shape) <= channel < len(shape):
        raise InputError(
            f"layer {layer.name!r} of shape {shape} cannot have its channels in axis {channel}; name another axis"
        )
    return channel % len(shape)


def _placed(layer: Layer, shape: tuple[int, ...], axis: int, fold: str | None) -> Layer:
    """Return the layer with the axes that are proven; `shape` is that of a single run."""
    channel = _channel_of(layer, shape)
    return dataclasses.replace(
        layer,
        shape=layer.shape or tuple("clips" if a == axis else size for a, size in enumerate(shape)),
        channel_axis=channel,
        units=shape[channel],
        batch_axis=axis,
        fold=fold,
        time_axis=None if fold or layer.time_axis == axis else layer.time_axis,
    )


def pool(values: NDArray[Any], layer: Layer, clips: int) -> NDArray[np.float64]:
    """Return a layer's tensor averaged over all but clips and channels, `(clips, units)`, as a probe must.

    Examples
    --------
    >>> frames_last = Layer("a", "a", ("2*n", 1), channel_axis=1, units=1, fold="time-major")
    >>> pool(np.array([[0.0], [10.0], [2.0], [30.0]]), frames_last, clips=2).tolist()
    [[1.0], [20.0]]
    """
    assert layer.channel_axis is not None
    values = np.moveaxis(values.astype(np.float64), (layer.batch_axis, layer.channel_axis), (0, -1))
    rows = values.reshape(values.shape[0], -1, values.shape[-1]).mean(1)
    if layer.fold == "time-major":
        return np.asarray(rows.reshape(-1, clips, rows.shape[-1]).mean(0))
    return np.asarray(rows.reshape(clips, -1, rows.shape[-1]).mean(1))


def measure(
    model: ModelProto, layers: Sequence[Layer], inputs: Sequence[ModelInput]
) -> tuple[list[Layer], dict[str, NDArray[np.float64]]]:
    """Return the layers with their axes proven, and their pooled units for the clips of `check_feeds`.

    The tensors are read from the model as it is, without the runtime's optimisation, which may alter them.
    """
    session = open_tapped(model, layers, optimise=False)
    feeds, batch = check_feeds(inputs), fixed_batch(model)
    proven: list[Layer] = []
    units: dict[str, NDArray[np.float64]] = {}
    for start in range(0, len(layers), LAYERS_AT_ONCE):
        some = layers[start : start + LAYERS_AT_ONCE]
        if batch:
            placed_here, units_here = _measure_fixed(session, some, inputs, batch)
            proven += placed_here
            units |= units_here
            continue
        names = [layer.tensor for layer in some]
        alone = [run(session, prepare(one, inputs), names) for one in one_by_one(feeds)]
        together = run(session, prepare(feeds, inputs), names)
        for layer in some:
            placed = place_batch(layer, together[layer.tensor], [values[layer.tensor] for values in alone])
            proven.append(placed)
            units[layer.name] = pool(together[layer.tensor], placed, CLIPS)
    return proven, units


def _measure_fixed(
    session: InferenceSession, layers: Sequence[Layer], inputs: Sequence[ModelInput], batch: int
) -> tuple[list[Layer], dict[str, NDArray[np.float64]]]:
    """Return what `measure` does, of a model that reads `batch` clips at once."""
    names, clips = [layer.tensor for layer in layers], random_feeds(inputs, batch + 1)
    first, second = (
        run_once(session, prepare(select(clips, slice(start, start + batch)), inputs), names) for start in (0, 1)
    )
    placed = [place_in_fixed_batch(layer, first[layer.tensor], second[layer.tensor], batch) for layer in layers]

    def pooled(fed: Arrays) -> Arrays:
        values = run_once(session, fed, names)
        return {layer.name: pool(values[layer.tensor], layer, batch) for layer in placed}

    return placed, in_batches(pooled, prepare(check_feeds(inputs), inputs), batch)


def open_tapped(model: ModelProto, layers: Sequence[Layer], optimise: bool) -> InferenceSession:
    """Return a session of a model that gives the layers' tensors too."""
    onnx = require("onnx", extra="cpu")
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    outputs = {output.name for output in tapped.graph.output}
    for layer in layers:
        if layer.tensor not in outputs:
            tapped.graph.output.add(name=layer.tensor)
    return open_session(tapped.SerializeToString(), optimise=optimise)


def verify_probe(
    probe: bytes,
    model: ModelProto,
    inputs: Sequence[ModelInput],
    outputs: Sequence[str],
    units: Arrays,
    masked: bool,
    half: bool = False,
) -> None:
    """Compare a probe, maybe one of half precision, with the model it was made from.

    `units` are those that `measure` found.

    Raises
    ------
    InputError
        If units or outputs differ, if a clip's units depend on its batch, or if a mask changes no output.
    """
    feeds, rounding = check_feeds(inputs), max(_rounding(model), tolerance(np.dtype(np.float16)) if half else 0)
    plain, probed = open_session(model.SerializeToString()), open_session(probe)
    names = [f"units/{layer}" for layer in units]
    found = run(probed, feeds, [*names, *outputs])
    expected = run(plain, prepare(feeds, inputs), outputs) | {f"units/{layer}": units[layer] for layer in units}
    for name, value in floats(found).items():
        error = relative_error(value, expected[name])
        if error > max(tolerance(value.dtype), rounding):
            raise InputError(
                f"{name} of the probe differs from the model's by {error:.1e} of its scale; the runtime's optimisation "
                "alters it. Choose another layer, or another version of onnxruntime"
            )
    for index, one in enumerate(one_by_one(feeds)):
        for name, value in run(probed, one, names).items():
            error = relative_error(value[0], found[name][index])
            if error > max(tolerance(value.dtype), rounding):
                raise InputError(
                    f"{name} of a clip changes by {error:.1e} of its scale with the other clips of its batch; export "
                    "the model in evaluation mode, with a dynamic batch"
                )
    for layer, values in units.items() if masked else ():
        zeros = {f"mask/{layer}": np.zeros(values.shape[1], np.float32)}
        changed = run(probed, {**feeds, **zeros}, outputs)
        if all(np.array_equal(changed[name], found[name]) for name in outputs):
            raise InputError(
                f"removing every unit of layer {layer!r} changes none of the outputs {list(outputs)}: nothing that "
                "reads the layer leads to them. Leave it out, or build the probe without masks"
            )


def _rounding(model: ModelProto) -> float:
    """Return the difference that the rounding inside of a model may cause, where its type does not tell."""
    onnx = require("onnx", extra="cpu")
    if any(node.op_type in QUANTISED for node in model.graph.node):
        return QUANTISED_TOLERANCE
    half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    return tolerance(np.dtype(np.float16)) if half else 0.0


def check_feeds(inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return the clips that every check uses."""
    return random_feeds(inputs, CLIPS)


def one_by_one(feeds: Feeds) -> Iterator[Feeds]:
    """Yield the clips of `feeds`, each as a batch of its own."""
    for index in range(len(next(iter(feeds.values())))):
        yield select(feeds, slice(index, index + 1))


def floats(arrays: Arrays) -> Arrays:
    """Return the arrays of floating-point numbers: class indices and the like cannot be compared by tolerance."""
    return {name: array for name, array in arrays.items() if np.issubdtype(array.dtype, np.floating)}


def run(session: InferenceSession, feeds: Feeds, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Run a session, in batches of the size that it is fixed to; its failure is an `InputError`."""
    batch = session_batch(session)
    if batch is None:
        return run_once(session, feeds, outputs)
    return in_batches(lambda fed: run_once(session, fed, outputs), feeds, batch)


def run_once(session: InferenceSession, feeds: Feeds, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Run a session; its failure is an `InputError` that names the number of clips."""
    if not outputs:  # asked for none, the runtime gives all
        return {}
    types = {value.name: FLOAT_TYPES.get(value.type) for value in session.get_inputs()}
    fed = {name: array.astype(types.get(name) or array.dtype, copy=False) for name, array in feeds.items()}
    try:
        return dict(zip(outputs, session.run(list(outputs), fed), strict=True))
    except Exception as error:
        clips = len(next(iter(feeds.values())))
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"the model fails on a batch of {clips} clip(s): {reason}. Export it with a dynamic batch; if its inputs "
            "were described, check their frames and size"
        ) from None
