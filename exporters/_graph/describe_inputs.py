"""Infer the inputs of a model from its file, and check described inputs against it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._graph.nodes import Shape, fed_inputs, shapes
from sdmetrics.probes.feeds import check_sources
from sdmetrics.probes.inputs import SOURCES, ModelInput

if TYPE_CHECKING:
    from onnx import ModelProto

LAYOUTS = ("NCTHW", "NTCHW", "NTHWC", "NCHW", "NHWC")
FLOATS = ("FLOAT", "FLOAT16", "DOUBLE")


def guess_layout(shape: Shape, channels: int = 3) -> str | None:
    """Return the only usual layout with this number of channels and as many axes as `shape`, or None.

    Examples
    --------
    >>> guess_layout(("n", 3, 8, 224, 224)), guess_layout(("n", 3, 3, 224, 224))
    ('NCTHW', None)
    """
    fitting = [layout for layout in LAYOUTS if len(layout) == len(shape) and shape[layout.index("C")] == channels]
    return fitting[0] if len(fitting) == 1 else None


def infer_inputs(
    model: ModelProto,
    by_input: Mapping[str, Mapping[str, Any]] | None = None,
    **given: Any,  # noqa: ANN401 (fields of ModelInput)
) -> tuple[ModelInput, ...]:
    """Describe the inputs of a model that does not declare them, with the usual mean and deviation.

    `given` are fields of `ModelInput` for all inputs, which take precedence over the shapes. `by_input` are fields by
    the name of an input, which take precedence over both.

    Raises
    ------
    InputError
        If an input's layout, frames or size are neither specified nor determined by its shape, or the model has no
        input of a name in `by_input`.
    """
    known = shapes(model)
    fed = {value.name: known.get(value.name, ()) for value in fed_inputs(model.graph)}
    return describe_inputs(fed, by_input, **given)


def describe_inputs(
    shapes: Mapping[str, Shape],
    by_input: Mapping[str, Mapping[str, Any]] | None = None,
    **given: Any,  # noqa: ANN401 (fields of ModelInput)
) -> tuple[ModelInput, ...]:
    """Describe model inputs with these names and shapes, as `infer_inputs` does for a file."""
    check_known(by_input or {}, shapes)
    inferred = []
    for name, shape in shapes.items():
        fields = {**given, **(by_input or {}).get(name, {})}
        layout = fields.get("layout") or guess_layout(shape, SOURCES.get(fields.get("source", "rgb"), 3)) or ""
        sizes = dict(zip(layout, shape, strict=False))
        frames = fields.get("frames") or sizes.get("T", 1)
        height, width = fields.get("size") or (sizes.get("H"), sizes.get("W"))
        options = {
            "layout": None if layout else "NCTHW",
            "frames": None if layout and isinstance(frames, int) else "8",
            "size": None if isinstance(height, int) and isinstance(width, int) else "224 224",
        }
        missing = {option: example for option, example in options.items() if example}
        if missing:
            command = " ".join(f"--{option} {example}" for option, example in missing.items())
            fields_missing = ", ".join(f"{option}=…" for option in missing)
            raise InputError(
                f"model input {name!r} has shape {shape}, so {', '.join(missing)} cannot be inferred; specify them, "
                f"e.g. sdmetrics probe MODEL {command}, or in Python inputs=[ModelInput({name!r}, {fields_missing})]"
            )
        described = {**fields, "frames": frames, "size": (height, width), "layout": layout}
        inferred.append(ModelInput(name, **described))
    return tuple(inferred)


def check_known(by_input: Iterable[str], inputs: Collection[str]) -> None:
    """Raise an `InputError` if a described input does not exist in the model."""
    for name in by_input:
        if name not in inputs:
            raise InputError(f"the model has no input {name!r}; its inputs: {', '.join(inputs)}")


def check_inputs(model: ModelProto, inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` unless `inputs` describe every input of the model and fit its shapes."""
    known = shapes(model)
    names = [value.name for value in fed_inputs(model.graph)]
    if sorted(names) != sorted(item.name for item in inputs):
        raise InputError(
            f"the model's inputs are {names}, described are {[item.name for item in inputs]}; pass one ModelInput of "
            "its name for every input"
        )
    onnx = require("onnx", extra="cpu")
    for value in fed_inputs(model.graph):
        kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        if kind not in FLOATS:
            raise InputError(f"model input {value.name!r} is of type {kind}; expected one of {', '.join(FLOATS)}")
    for item in inputs:
        sizes = {"C": item.channels, "T": item.frames, "H": item.size[0], "W": item.size[1]}
        expected = ("N", *(sizes[axis] for axis in item.layout[1:]))
        shape = known.get(item.name, expected)
        fits = len(shape) == len(expected) and all(
            not isinstance(has, int) or has == needs for has, needs in zip(shape[1:], expected[1:], strict=True)
        )
        if not fits:
            raise InputError(
                f"model input {item.name!r} has the shape {shape}; as described ({item.layout}) it would be fed "
                f"{expected}. Fix its layout, frames or size"
            )
    check_sources(inputs)
