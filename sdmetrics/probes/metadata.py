"""Metadata of models and probes: the JSON that an ONNX file carries under the key `sdmetrics`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sdmetrics.errors import InputError
from sdmetrics.probes.held_inputs import HeldValue
from sdmetrics.probes.inputs import LATER, ModelInput
from sdmetrics.probes.onnx_file import load_graph

if TYPE_CHECKING:
    from onnx import ModelProto

Kind = TypeVar("Kind")

KEY = "sdmetrics"
SCHEMA = 2
READ = (1, 2)
"""The schemas that are read. The first had no held inputs, and flow vectors were fed as they are."""
FOLDS = (None, "batch-major", "time-major")
HELD_TYPES = (
    *("bool", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
"""NumPy's names of the types that an input can be held in."""


@dataclass(frozen=True)
class Layer:
    """A named tensor of a model whose channels are units.

    Parameters
    ----------
    name
        The module's path if the file has it, else the tensor's name.
    tensor
        The tensor's name in the ONNX file.
    shape
        The tensor's shape; a dimension that is not fixed is a string.
    channel_axis
        The axis of the units; None if the graph does not prove one.
    units
        Size of that axis, if known.
    batch_axis, time_axis
        The axes of the clips and of the frames; `time_axis` is None if time is pooled, mixed with space or folded.
    fold
        Whether time is folded into the batch axis: None (no), `"batch-major"` (n · T + t) or `"time-major"`
        (t · N + n).
    module
        The module's path, if the file has it.

    Examples
    --------
    >>> Layer("layer4", "relu_16", ("batch", 2048, 8, 7, 7), channel_axis=1, units=2048).fold is None
    True
    """

    name: str
    tensor: str
    shape: tuple[int | str, ...]
    channel_axis: int | None = None
    units: int | None = None
    batch_axis: int = 0
    time_axis: int | None = None
    fold: str | None = None
    module: str | None = None

    @property
    def axes(self) -> dict[str, int | str | None]:
        """What decides how the tensor is pooled to units."""
        names = ("units", "channel_axis", "batch_axis", "time_axis", "fold")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Metadata:
    """The description that an exported model (`kind="model"`) or a probe (`kind="probe"`) carries.

    `sha256` is the hash of the weights (model) or of the model's file (probe). `export_error` is the largest difference
    between framework and ONNX file, relative to the tensor's scale, or None if it was not measured. `precision` is
    the type of most of a probe's weights, or None in files that do not record it. `held` are a probe's inputs that are
    not video and have the same values for every clip. `trained_on_shuffled` names the losses on shuffled clips that the
    model was trained with.
    """

    kind: str
    name: str
    inputs: tuple[ModelInput, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    framework: str
    sha256: str
    export_error: float | None = None
    masks: bool = False
    precision: str | None = None
    held: tuple[HeldValue, ...] = ()
    trained_on_shuffled: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the JSON text."""
        document = {"schema": SCHEMA, **dataclasses.asdict(self)}
        if not self.trained_on_shuffled:
            del document["trained_on_shuffled"]
        return json.dumps(document, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, file: str) -> Metadata:
        """Read the text that `to_json` wrote.

        Raises
        ------
        InputError
            If the text is not of this schema; `file` names its origin in the message.
        """
        try:
            data = json.loads(text)
            if data["schema"] not in READ:
                raise ValueError(f"its schema is {data['schema']!r}, this version reads {READ}")
            return cls(
                kind=_one_of(data["kind"], ("model", "probe")),
                name=_of(str, data["name"]),
                inputs=tuple(_input(item, data["schema"]) for item in _of(list, data["inputs"])),
                layers=tuple(_layer(item) for item in _of(list, data["layers"])),
                outputs=tuple(_of(str, item) for item in _of(list, data["outputs"])),
                framework=_of(str, data["framework"]),
                sha256=_of(str, data["sha256"]),
                export_error=None if data["export_error"] is None else _number(data["export_error"]),
                masks=_of(bool, data["masks"]),
                precision=None if data.get("precision") is None else _of(str, data["precision"]),
                held=tuple(_held(item) for item in _of(list, data.get("held", []))),
                trained_on_shuffled=tuple(_of(str, name) for name in _of(list, data.get("trained_on_shuffled", []))),
            )
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise InputError(
                f"{file} carries sdmetrics metadata that cannot be read: {reason}. Export the model again, or update "
                "static-dynamic-metrics"
            ) from None


def read_metadata(path: Path) -> Metadata | None:
    """Return the metadata of an ONNX file, or None if this package did not write the file.

    Raises
    ------
    InputError
        If there is no such file, it is not ONNX, or its metadata cannot be read.
    """
    return metadata_of(load_graph(path), str(path))


def metadata_of(model: ModelProto, file: str) -> Metadata | None:
    """Return the metadata of a model, or None; `file` names it in errors."""
    text = next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
    return None if text is None else Metadata.from_json(text, file)


def write_metadata(model: ModelProto, metadata: Metadata) -> None:
    """Replace the metadata of a model."""
    for entry in [entry for entry in model.metadata_props if entry.key == KEY]:
        model.metadata_props.remove(entry)
    model.metadata_props.add(key=KEY, value=metadata.to_json())


def _input(data: Mapping[str, Any], schema: int) -> ModelInput:
    """Read one model input."""
    height, width = (_of(int, item) for item in data["size"])
    source, later = _of(str, data["source"]), {**LATER, **data}
    unscaled = schema == 1 and source == "flow_vectors"
    mean, std = (() if unscaled else tuple(_number(item) for item in data[field]) for field in ("mean", "std"))
    return ModelInput(
        name=_of(str, data["name"]),
        source=source,
        frames=_of(int, data["frames"]),
        stride=_of(int, data["stride"]),
        size=(height, width),
        layout=_of(str, data["layout"]),
        mean=mean,
        std=std,
        colours=_of(str, later["colours"]),
        limit=None if later["limit"] is None else _number(later["limit"]),
        resize=_resize(later["resize"]),
        sampling=_of(str, later["sampling"]),
        fps=None if later["fps"] is None else _number(later["fps"]),
    )


def _resize(value: object) -> int | tuple[int, int] | None:
    """Read what frames are scaled to."""
    if not isinstance(value, list):
        return None if value is None else _of(int, value)
    height, width = (_of(int, item) for item in value)
    return height, width


def _held(data: Mapping[str, Any]) -> HeldValue:
    """Read what one input is held at."""
    return HeldValue(
        name=_of(str, data["name"]),
        value=None if data["value"] is None else _number(data["value"]),
        dtype=_one_of(_of(str, data["dtype"]), HELD_TYPES),
        shape=tuple(dim if dim == "N" else _size(dim) for dim in _of(list, data["shape"])),
        sha256=_of(str, data["sha256"]),
    )


def _layer(data: Mapping[str, Any]) -> Layer:
    """Read one layer."""
    shape = _of(list, data["shape"])
    layer = Layer(
        name=_of(str, data["name"]),
        tensor=_of(str, data["tensor"]),
        shape=tuple(dim if isinstance(dim, str) else _of(int, dim) for dim in shape),
        channel_axis=_of(int, data["channel_axis"]),
        units=_of(int, data["units"]),
        batch_axis=_of(int, data["batch_axis"]),
        time_axis=None if data["time_axis"] is None else _of(int, data["time_axis"]),
        fold=_one_of(data["fold"], FOLDS),
        module=None if data["module"] is None else _of(str, data["module"]),
    )
    axes = [layer.channel_axis, layer.batch_axis, *([] if layer.time_axis is None else [layer.time_axis])]
    if len(set(axes)) < len(axes) or not all(axis is not None and 0 <= axis < len(shape) for axis in axes):
        raise ValueError(f"layer {layer.name!r} has the axes {axes} in a tensor of {len(shape)} axes")
    return layer


def _of(kind: type[Kind], value: object) -> Kind:
    """Return `value` if it is of exactly that type."""
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _size(value: object) -> int:
    """Return `value` if it is a size of an axis."""
    size = _of(int, value)
    if size < 0:
        raise ValueError(f"{size} is not a size")
    return size


def _number(value: object) -> float:
    """Return `value` as a finite float."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a finite number")
    return float(value)


def _one_of(value: Kind, allowed: tuple[Kind, ...]) -> Kind:
    """Return `value` if it is allowed."""
    if value not in allowed:
        raise ValueError(f"{value!r} is not one of {allowed}")
    return value
