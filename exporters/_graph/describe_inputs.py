"""What a model is fed with: its inputs inferred from the file, and random clips to check it with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.views import SOURCES, ModelInput
from sdmetrics.errors import InputError, require
from sdmetrics.probes.onnx_file import Shape, fed_inputs, shapes

if TYPE_CHECKING:
    from onnx import ModelProto

LAYOUTS = ("NCTHW", "NTCHW", "NTHWC", "NCHW", "NHWC")
FLOATS = ("FLOAT", "FLOAT16", "DOUBLE")
Feeds = Mapping[str, NDArray[Any]]


def order_name(model_input: ModelInput) -> str:
    """Return the name of the probe's input that says which frames a model input reads, in which order."""
    return f"{model_input.name}/order"


def guess_layout(shape: Shape, channels: int = 3) -> str | None:
    """Return the one usual layout that has so many channels and as many axes as `shape`, or None.

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
    """Describe the inputs of a model that does not describe them itself, with the usual mean and deviation.

    Fields of `ModelInput` that are `given` go before what the shapes say, and those that are given for one input alone,
    in `by_input`, before all.

    Raises
    ------
    InputError
        If an input's layout, frames or size are neither given nor told by its shape, or `by_input` names no input.
    """
    known = shapes(model)
    fed = {value.name: known.get(value.name, ()) for value in fed_inputs(model.graph)}
    return describe_inputs(fed, by_input, **given)


def describe_inputs(
    shapes: Mapping[str, Shape],
    by_input: Mapping[str, Mapping[str, Any]] | None = None,
    **given: Any,  # noqa: ANN401 (fields of ModelInput)
) -> tuple[ModelInput, ...]:
    """Describe model inputs by their names and shapes, as `infer_inputs` does for a file."""
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
        wanted = {option: example for option, example in options.items() if example}
        if wanted:
            command = " ".join(f"--{option} {example}" for option, example in wanted.items())
            missing = ", ".join(f"{option}=…" for option in wanted)
            raise InputError(
                f"model input {name!r} has the shape {shape}, which does not tell its {', '.join(wanted)}; say it, "
                f"such as sdmetrics probe MODEL {command}, or in Python inputs=[ModelInput({name!r}, {missing})]"
            )
        described = {**fields, "frames": frames, "size": (height, width), "layout": layout}
        inferred.append(ModelInput(name, **described))
    return tuple(inferred)


def check_known(by_input: Iterable[str], inputs: Collection[str]) -> None:
    """Raise an `InputError` where something is said of an input that the model has not."""
    for name in by_input:
        if name not in inputs:
            raise InputError(f"the model has no input {name!r}; its inputs: {', '.join(inputs)}")


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
        sizes = {"C": item.channels, "T": item.frames, "H": item.size[0], "W": item.size[1]}
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
    """Raise an `InputError` unless the inputs are asked for in one size."""
    if not inputs:
        raise InputError("no model input is described; give at least one ModelInput")
    for item in inputs:
        if item.size != inputs[0].size:
            raise InputError(
                f"model inputs {inputs[0].name!r} and {item.name!r} read a clip in sizes {inputs[0].size} and "
                f"{item.size}; a clip has one size"
            )


def random_feeds(inputs: Sequence[ModelInput], clips: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return random clips, coarse-grained so that pooled units differ, each with its own order of frames.

    The clips are by source, such as `"rgb"`, uint8 `(clips, T, H, W, 3)`, and the orders `"<input>/order"`, int64
    `(clips, T')`.
    """
    rng = np.random.default_rng(seed)
    total = max(item.frames for item in inputs) + 1
    sources = dict.fromkeys(item.source for item in inputs)
    found = {source: _random_source(source, (clips, total, *inputs[0].size), rng) for source in sources}
    orders = {
        order_name(item): np.stack([rng.permutation(total)[: item.frames] for _ in range(clips)]) for item in inputs
    }
    return found | orders


def _random_source(source: str, shape: tuple[int, int, int, int], rng: np.random.Generator) -> NDArray[Any]:
    """Return what one source of random clips holds: patches of one colour, or of one motion."""
    grain = 8
    clips, total, height, width = shape
    coarse = (clips, total, -(-height // grain), -(-width // grain), SOURCES[source])
    values: NDArray[Any] = (
        rng.normal(scale=4, size=coarse).astype(np.float32)
        if source == "flow_vectors"
        else rng.integers(0, 256, coarse, dtype=np.uint8)
    )
    return np.ascontiguousarray(values.repeat(grain, 2).repeat(grain, 3)[:, :, :height, :width])


def select(feeds: Feeds, clips: slice) -> dict[str, NDArray[Any]]:
    """Return some of the clips of `feeds`."""
    return {name: array[clips] for name, array in feeds.items()}


def prepare(feeds: Feeds, inputs: Sequence[ModelInput]) -> dict[str, NDArray[Any]]:
    """Return what the model itself reads: frames put in order, scaled, shifted and transposed, float32.

    Vectors of flow are put in order and transposed.

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
        values = frames if item.source == "flow_vectors" else (frames / np.float32(255) - mean) / std
        axes = "NTHWC"
        if "T" not in item.layout:
            values, axes = values[:, 0], "NHWC"
        prepared[item.name] = np.ascontiguousarray(values.transpose([axes.index(axis) for axis in item.layout]))
    return prepared
