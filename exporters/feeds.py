"""What a model is fed with: its inputs inferred from the file, and random clips to check it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, require
from sdmetrics.exporters.graph import Shape, fed_inputs, shapes
from sdmetrics.views import ModelInput

if TYPE_CHECKING:
    from onnx import ModelProto

LAYOUTS = ("NCTHW", "NTCHW", "NTHWC", "NCHW", "NHWC")
FLOATS = ("FLOAT", "FLOAT16", "DOUBLE")
Feeds = Mapping[str, NDArray[Any]]


def order_name(model_input: ModelInput) -> str:
    """Return the name of the probe's input that says which frames a model input reads, in which order."""
    return f"{model_input.name}/order"


def guess_layout(shape: Shape) -> str | None:
    """Return the one usual layout that has three channels and as many axes as `shape`, or None.

    Examples
    --------
    >>> guess_layout(("n", 3, 8, 224, 224)), guess_layout(("n", 3, 3, 224, 224))
    ('NCTHW', None)
    """
    fitting = [layout for layout in LAYOUTS if len(layout) == len(shape) and shape[layout.index("C")] == 3]
    return fitting[0] if len(fitting) == 1 else None


def infer_inputs(model: ModelProto, **given: Any) -> tuple[ModelInput, ...]:  # noqa: ANN401 (fields of ModelInput)
    """Describe the inputs of a model that does not describe them itself, with the usual mean and deviation.

    Fields of `ModelInput` that are `given` go before what the shapes say.

    Raises
    ------
    InputError
        If an input's layout, frames or size are neither given nor told by its shape.
    """
    known = shapes(model)
    return describe_inputs({value.name: known.get(value.name, ()) for value in fed_inputs(model.graph)}, **given)


def describe_inputs(shapes: Mapping[str, Shape], **given: Any) -> tuple[ModelInput, ...]:  # noqa: ANN401 (fields of ModelInput)
    """Describe model inputs by their names and shapes, as `infer_inputs` does for a file."""
    inferred = []
    for name, shape in shapes.items():
        layout = given.get("layout") or guess_layout(shape) or ""
        sizes = dict(zip(layout, shape, strict=False))
        frames = given.get("frames") or sizes.get("T", 1)
        height, width = given.get("size") or (sizes.get("H"), sizes.get("W"))
        options = {
            "layout": None if layout else "NCTHW",
            "frames": None if layout and isinstance(frames, int) else "8",
            "size": None if isinstance(height, int) and isinstance(width, int) else "224 224",
        }
        wanted = {option: example for option, example in options.items() if example}
        if wanted:
            command = " ".join(f"--{option} {example}" for option, example in wanted.items())
            fields = ", ".join(f"{option}=…" for option in wanted)
            raise InputError(
                f"model input {name!r} has the shape {shape}, which does not tell its {', '.join(wanted)}; say it, "
                f"such as sdmetrics probe MODEL {command}, or in Python inputs=[ModelInput({name!r}, {fields})]"
            )
        described = {**given, "frames": frames, "size": (height, width), "layout": layout}
        inferred.append(ModelInput(name, **described))
    return tuple(inferred)


def check_inputs(model: ModelProto, inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` unless `inputs` describe every input of the model and fit its shapes."""
    known = shapes(model)
    names = [value.name for value in fed_inputs(model.graph)]
    if sorted(names) != sorted(item.name for item in inputs):
        raise InputError(
            f"the model's inputs are {names}, described are {[item.name for item in inputs]}; describe every input "
            "with one ModelInput of its name"
        )
    onnx = require("onnx", extra="cpu")
    for value in fed_inputs(model.graph):
        kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        if kind not in FLOATS:
            raise InputError(f"model input {value.name!r} is of type {kind}; frames are fed as {', '.join(FLOATS)}")
    for item in inputs:
        sizes = {"C": 3, "T": item.frames, "H": item.size[0], "W": item.size[1]}
        wanted = ("N", *(sizes[axis] for axis in item.layout[1:]))
        shape = known.get(item.name, wanted)
        fits = len(shape) == len(wanted) and all(
            not isinstance(has, int) or has == needs for has, needs in zip(shape[1:], wanted[1:], strict=True)
        )
        if not fits:
            raise InputError(
                f"model input {item.name!r} has the shape {shape}; as described ({item.layout}) it would be fed "
                f"{wanted}. Mend its layout, frames or size"
            )
    check_sources(inputs)


def check_sources(inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` unless every source exists, can be scaled and is asked for in one size."""
    if not inputs:
        raise InputError("no model input is described; give at least one ModelInput")
    for item in inputs:
        if item.source != "rgb":
            raise InputError(f"model input {item.name!r} has the source {item.source!r}; allowed: 'rgb'")
        if item.size != inputs[0].size:
            raise InputError(
                f"model inputs {inputs[0].name!r} and {item.name!r} read the source 'rgb' in sizes {inputs[0].size} "
                f"and {item.size}; one source has one size"
            )


def random_feeds(inputs: Sequence[ModelInput], clips: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return random clips, coarse-grained so that pooled units differ, each with its own order of frames.

    The clips are `"rgb"`, uint8 `(clips, T, H, W, 3)`, and the orders `"<input>/order"`, int64 `(clips, T')`.
    """
    rng = np.random.default_rng(seed)
    grain = 8
    height, width = inputs[0].size
    total = max(item.frames for item in inputs) + 1
    coarse = rng.integers(0, 256, (clips, total, -(-height // grain), -(-width // grain), 3), dtype=np.uint8)
    frames = coarse.repeat(grain, 2).repeat(grain, 3)[:, :, :height, :width]
    orders = {
        order_name(item): np.stack([rng.permutation(total)[: item.frames] for _ in range(clips)]) for item in inputs
    }
    return {"rgb": np.ascontiguousarray(frames), **orders}


def select(feeds: Feeds, clips: slice) -> dict[str, NDArray[Any]]:
    """Return some of the clips of `feeds`."""
    return {name: array[clips] for name, array in feeds.items()}


def prepare(feeds: Feeds, inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return what the model itself reads: frames put in order, scaled, shifted and transposed, float32.

    Examples
    --------
    >>> video = ModelInput("video", frames=2, size=(4, 4), mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> feeds = {"rgb": np.full((1, 3, 4, 4, 3), 255, np.uint8), "video/order": np.array([[2, 0]])}
    >>> array = prepare(feeds, [video])["video"]
    >>> array.shape, array.max()
    ((1, 3, 2, 4, 4), np.float32(1.0))
    """
    prepared = {}
    for item in inputs:
        order = feeds[order_name(item)].astype(np.int64)
        frames = np.take_along_axis(feeds[item.source], order[:, :, None, None, None], axis=1)
        mean, std = np.array(item.mean, np.float32), np.array(item.std, np.float32)
        values = (frames / np.float32(255) - mean) / std
        axes = "NTHWC"
        if "T" not in item.layout:
            values, axes = values[:, 0], "NHWC"
        prepared[item.name] = np.ascontiguousarray(values.transpose([axes.index(axis) for axis in item.layout]))
    return prepared
