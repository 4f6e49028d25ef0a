"""Weights that stay in their files: those of a model that is too large to be one message in memory.

In memory such a weight's location is the resolved path of a file that `weight_files` has proven; in a file it is a name
beside the model. Small weights are always read, as shapes depend on their values.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._text import printable
from sdmetrics.errors import InputError, require
from sdmetrics.probes.weight_files import entries_of, external_tensors, weight_files

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

IN_MEMORY = 2**31 - 2**27
"""Bytes of weights and graph that are read into memory; the rest of a message's 2 GiB is left for a probe's nodes."""

SMALL = 2**16
"""Bytes below which a weight is read."""

ALIGNED = 4096
"""Weights begin at multiples of this in their file, so that a system can map each by itself."""

SUFFIX = ".data"
"""Added to a model's name for the file that holds its weights."""

BLOCK = 2**24


def exceeds_memory(size: int) -> bool:
    """Return whether so many bytes of weights are kept in files."""
    return size > IN_MEMORY


def read_weights(model: ModelProto, path: Path) -> None:
    """Read the weights of the model at `path` into its graph; large ones of a model beyond 2 GiB stay in their files.

    Raises
    ------
    InputError
        See `weight_files`; or a weight does not have the bytes that its shape needs.
    """
    files = weight_files(model, path)
    sizes = [_size(tensor, files[entries_of(tensor).get("location", "")]) for tensor in external_tensors(model)]
    if exceeds_memory(model.ByteSize() + sum(sizes)):
        for tensor in kept_tensors(model.graph):
            file = files[entries_of(tensor).get("location", "")]
            if _size(tensor, file) >= SMALL and _dtype(tensor) is not None:
                _keep(tensor, file, path)
    for tensor in external_tensors(model):
        location = entries_of(tensor).get("location", "")
        # A location in a file is never absolute.
        if not Path(location).is_absolute():
            _load(tensor, files[location], path)


def kept_tensors(graph: GraphProto) -> list[TensorProto]:
    """Return the weights of a graph in memory that are kept in files."""
    external = require("onnx", extra="cpu").TensorProto.EXTERNAL
    return [tensor for tensor in graph.initializer if tensor.data_location == external]


def kept_arrays(model: ModelProto) -> dict[str, NDArray[Any]]:
    """Return the weights that a model in memory keeps in files by name, each read from there only where it is used.

    Raises
    ------
    InputError
        If a file was changed since it was proven.
    """
    maps: dict[str, NDArray[np.uint8]] = {}
    arrays = {}
    for tensor in kept_tensors(model.graph):
        entries = entries_of(tensor)
        location, start, length = entries["location"], int(entries["offset"]), int(entries["length"])
        try:
            whole = maps.get(location)
            if whole is None:
                whole = maps[location] = np.memmap(location, np.uint8, mode="r")
            dtype = require("onnx", extra="cpu").helper.tensor_dtype_to_np_dtype(tensor.data_type)
            array = whole[start : start + length].view(dtype).reshape(tuple(tensor.dims))
        except (OSError, ValueError):
            raise InputError(f"the weights in {location} were changed while they were used; start again") from None
        # The runtime reads whole numbers of elements from the start of memory.
        arrays[tensor.name] = np.require(array, requirements="A")
    return arrays


def kept_size(model: ModelProto) -> int:
    """Return the bytes of the weights that a model in memory keeps in files."""
    return sum(int(entries_of(tensor)["length"]) for tensor in kept_tensors(model.graph))


def without_kept(model: ModelProto) -> ModelProto:
    """Return the model, with inputs instead of kept weights: ONNX's check looks for no file, and misses only values."""
    kept = kept_tensors(model.graph)
    if not kept:
        return model
    helper = require("onnx", extra="cpu").helper
    bare: ModelProto = type(model)()
    bare.CopyFrom(model)
    fed = {value.name for value in bare.graph.input}
    for tensor in kept_tensors(bare.graph):
        if tensor.name not in fed:
            bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        bare.graph.initializer.remove(tensor)
    return bare


def write_kept(model: ModelProto, file: Path, name: str) -> ModelProto:
    """Write the kept weights of a model to one file, and return the model as it is stored beside it under `name`."""
    stored: ModelProto = type(model)()
    stored.CopyFrom(model)
    arrays, digest, position = kept_arrays(model), hashlib.sha1(usedforsecurity=False), 0
    tensors = kept_tensors(stored.graph)
    with file.open("wb") as stream:
        for tensor in tensors:
            array = arrays[tensor.name]
            padding = bytes(-position % ALIGNED)
            for block in itertools.chain([padding], _blocks(array)):
                stream.write(block)
                digest.update(block)
            position += len(padding)
            _state(tensor, location=name, offset=position, length=array.nbytes)
            position += array.nbytes
    for tensor in tensors:
        # ONNX names this digest for finding out that a file belongs to another model.
        tensor.external_data.add(key="checksum", value=digest.hexdigest())
    return stored


def named_alike(model: ModelProto) -> bytes:
    """Return the bytes of a model in memory without the folders of its kept weights, which say nothing about it."""
    stored: ModelProto = type(model)()
    stored.CopyFrom(model)
    for tensor in kept_tensors(stored.graph):
        entries = entries_of(tensor)
        _state(tensor, **{**entries, "location": Path(entries["location"]).name})
    data: bytes = stored.SerializeToString()
    return data


def _size(tensor: TensorProto, file: Path) -> int:
    """Return how many bytes of its file are read for a weight."""
    entries = entries_of(tensor)
    return int(entries.get("length") or file.stat().st_size - int(entries.get("offset") or 0))


def _dtype(tensor: TensorProto) -> np.dtype[Any] | None:
    """Return NumPy's own type of a weight, or None if it has none, as for bfloat16 and four-bit numbers."""
    dtype: np.dtype[Any] = require("onnx", extra="cpu").helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return dtype if dtype.isbuiltin == 1 and dtype.kind in "biufc" else None


def _keep(tensor: TensorProto, file: Path, path: Path) -> None:
    """Let a weight stay in its file."""
    start, size = _extent(tensor, file, path)
    _state(tensor, location=file, offset=start, length=size)


def _load(tensor: TensorProto, file: Path, path: Path) -> None:
    """Read a weight from its file."""
    start, size = _extent(tensor, file, path)
    with file.open("rb") as stream:
        stream.seek(start)
        tensor.raw_data = stream.read(size)
    tensor.ClearField("data_location")
    del tensor.external_data[:]


def _extent(tensor: TensorProto, file: Path, path: Path) -> tuple[int, int]:
    """Return where a weight begins in its file and how many bytes it has: those that its shape needs."""
    dtype, size = _dtype(tensor), _size(tensor, file)
    if dtype is not None and prod(tensor.dims) * dtype.itemsize != size:
        raise InputError(
            f"model {printable(path)} has weights that cannot be read: {printable(repr(tensor.name))} has the shape "
            f"{tuple(tensor.dims)} and {size:,} bytes; export it again"
        )
    return int(entries_of(tensor).get("offset") or 0), size


def _state(tensor: TensorProto, **entries: object) -> None:
    """State where a weight is."""
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))


def _blocks(array: NDArray[Any]) -> Iterator[bytes]:
    """Yield the bytes of an array, a block at a time."""
    whole = array.reshape(-1).view(np.uint8)
    return (whole[start : start + BLOCK].tobytes() for start in range(0, len(whole), BLOCK))
