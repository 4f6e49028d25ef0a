"""Infer the inputs of a model from its file, and check described inputs against it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._graph.guess_layout import frames_in_batch, guess_layout
from sdmetrics.exporters._graph.nodes import Shape, fed_inputs, shapes
from sdmetrics.probes.feeds import check_sources, scaled
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import SOURCES, ModelInput
from sdmetrics.probes.layouts import axes_of, laid_out_shape

if TYPE_CHECKING:
    from onnx import ModelProto

FLOATS = ("FLOAT", "FLOAT16", "DOUBLE")
WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
UNSCALED = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}
"""How images are fed to an input of whole numbers, unless specified: from 0 to 255."""

EXAMPLES: dict[str, Any] = {"layout": "NCTHW", "frames": 8, "size": (224, 224)}
"""What is suggested where nothing is known."""

Fields = dict[str, Any]


@dataclass(frozen=True)
class Fed:
    """An input of a file: its shape, None if the file does not state it, and its type by ONNX's name."""

    shape: Shape | None
    kind: str = "FLOAT"


def raw_inputs(model: ModelProto) -> dict[str, Fed]:
    """Return the inputs of a file by name."""
    onnx = require("onnx", extra="cpu")
    known = shapes(model)
    kinds = {
        value.name: onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        if value.type.HasField("tensor_type")
        else "no tensor"
        for value in fed_inputs(model.graph)
    }
    return {name: Fed(known.get(name), kind) for name, kind in kinds.items()}


def describe_inputs(
    shapes: Mapping[str, Shape],
    by_input: Mapping[str, Mapping[str, Any]] | None = None,
    **given: Any,  # noqa: ANN401 (fields of ModelInput)
) -> tuple[ModelInput, ...]:
    """Describe video inputs with these names and shapes, with the usual mean and deviation.

    `given` are fields of `ModelInput` for all inputs, which take precedence over the shapes. `by_input` are fields by
    the name of an input, which take precedence over both.

    Raises
    ------
    InputError
        If an input's layout, frames or size are neither specified nor determined by its shape.
    """
    by_input = by_input or {}
    check_known(by_input, shapes)
    return tuple(
        described_input(name, Fed(shape), {**given, **by_input.get(name, {})}) for name, shape in shapes.items()
    )


def described_input(
    name: str,
    fed: Fed,
    fields: Mapping[str, Any],
    model: ModelProto | None = None,
    advice: Callable[[], str] | None = None,
) -> ModelInput:
    """Describe one video input; `model` is run if its batch may hold frames, `advice` returns what to specify."""
    complete = complete_fields(fed, fields, model)
    missing = missing_fields(complete)
    if missing:
        listed = " ".join(f"--{field} {_spaced(example)}" for field, example in missing.items())
        command = listed if advice is None else advice()
        in_python = ", ".join(f"{field}=…" for field in missing)
        raise InputError(
            f"model input {name!r} has shape {fed.shape or 'unknown'}, so {', '.join(missing)} cannot be inferred; "
            f"specify them, e.g. sdmetrics probe MODEL {command}, or in Python "
            f"inputs=[ModelInput({name!r}, {in_python})]"
        )
    return ModelInput(name, **complete)


def complete_fields(fed: Fed, fields: Mapping[str, Any], model: ModelProto | None = None) -> Fields:
    """Return the fields of a video input with what follows from its shape and type."""
    shape, found = fed.shape or (), dict(fields)
    channels = SOURCES.get(found.get("source", "rgb"), 3)
    if not found.get("layout") and (layout := guess_layout(shape, channels)):
        found["layout"] = layout
        folded = frames_in_batch(model, shape, layout) if model is not None and not found.get("frames") else None
        if folded:
            found["layout"], found["frames"] = folded
    if found.get("layout"):
        found = {**_sizes(found["layout"], shape, channels), **found}
    if fed.kind in WHOLE and found.get("source", "rgb") != "flow_vectors":
        found = {**UNSCALED, **found}
    return found


def missing_fields(fields: Mapping[str, Any]) -> Fields:
    """Return the fields that a description lacks, each with an example."""
    return {name: example for name, example in EXAMPLES.items() if not fields.get(name)}


def _sizes(layout: str, shape: Shape, channels: int) -> Fields:
    """Return the frames and the size that a shape determines."""
    try:
        axes = axes_of(layout)
    except ValueError:
        return {}  # `ModelInput` says what is wrong with it
    sizes = {"C": channels}
    for axis, size in zip(axes, shape, strict=False):
        rest = prod(sizes.get(letter, 1) for letter in axis if letter in "C")
        unknown = axis.replace("C", "")
        if len(unknown) == 1 and isinstance(size, int):
            sizes[unknown] = size // rest
    found: Fields = {} if "T" in layout and "T" not in sizes else {"frames": sizes.get("T", 1)}
    return found | ({"size": (sizes["H"], sizes["W"])} if {"H", "W"} <= sizes.keys() else {})


def _spaced(example: object) -> str:
    """Return an example as it is typed after an option."""
    return " ".join(map(str, example)) if isinstance(example, tuple) else str(example)


def check_known(by_input: Iterable[str], inputs: Collection[str]) -> None:
    """Raise an `InputError` if a described input does not exist in the model."""
    for name in by_input:
        if name not in inputs:
            raise InputError(f"the model has no input {name!r}; its inputs: {', '.join(inputs)}")


def check_inputs(model: ModelProto, inputs: Sequence[ModelInput | HeldInput]) -> None:
    """Raise an `InputError` unless `inputs` describe every input of the model and fit its shapes and types."""
    fed = raw_inputs(model)
    if sorted(fed) != sorted(item.name for item in inputs):
        raise InputError(
            f"the model's inputs are {list(fed)}, described are {[item.name for item in inputs]}; pass one ModelInput "
            "of its name for every input, or a HeldInput for one that is not video"
        )
    video = [item for item in inputs if isinstance(item, ModelInput)]
    for item in video:
        _check_type(item, fed[item.name].kind)
        sizes = {"C": item.channels, "T": item.frames, "H": item.size[0], "W": item.size[1]}
        expected = laid_out_shape(item.layout, sizes)
        per_row = [prod(sizes.get(letter, 1) for letter in axis) for axis in axes_of(item.layout)]
        shape = fed[item.name].shape
        fits = shape is None or (
            len(shape) == len(expected)
            and all(
                not isinstance(has, int) or (has == needs if needs is not None else has % rows == 0)
                for has, needs, rows in zip(shape, expected, per_row, strict=True)
            )
        )
        if not fits:
            shown = tuple(
                needs if needs is not None else "N" if rows == 1 else f"{rows}*N"
                for needs, rows in zip(expected, per_row, strict=True)
            )
            raise InputError(
                f"model input {item.name!r} has the shape {shape}; as described ({item.layout}) it would be fed "
                f"{shown}. Fix its layout, frames or size"
            )
    check_sources(video)


def _check_type(item: ModelInput, kind: str) -> None:
    """Raise an `InputError` unless an input's type holds the numbers that it is fed."""
    if kind in FLOATS:
        return
    if kind not in WHOLE:
        raise InputError(
            f"model input {item.name!r} is of type {kind}; expected one of {', '.join(FLOATS)} or an integer type. If "
            f"it is not video, hold it still: --input '{item.name} constant=0'"
        )
    if item.source == "flow_vectors":
        raise InputError(f"model input {item.name!r} is of type {kind}, which cannot hold flow vectors")
    ends = scaled(np.array([[0] * item.channels, [255] * item.channels], np.uint8), item)
    limits = np.iinfo(kind.lower())
    lowest, highest = float(np.round(ends).min()), float(np.round(ends).max())
    if lowest < limits.min or highest > limits.max or min((ends[1] - ends[0]).tolist()) < 254.9:
        raise InputError(
            f"model input {item.name!r} is of type {kind}; with the mean {item.mean} and the std {item.std} it would "
            f"be fed whole numbers from {lowest:g} to {highest:g}. Leave out mean and std to feed 0 to 255"
        )
