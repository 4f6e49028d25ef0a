"""ModelFile: an ONNX file that is read once, with all that a command needs of it; what a probe says is proven."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics._reading import read_bytes
from sdmetrics.errors import InputError, require
from sdmetrics.probes.feeds import check_sources, order_name
from sdmetrics.probes.graph_limits import check_graph
from sdmetrics.probes.metadata import Metadata, metadata_of
from sdmetrics.probes.onnx_file import (
    LIMIT,
    complete_model,
    hash_model,
    parse_graph,
    parsed,
    read_model_bytes,
    with_weights,
)
from sdmetrics.probes.weight_files import external_tensors

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

Described = tuple[int, tuple[int | None, ...]]
"""Type and shape of a tensor; a size is None if it is not fixed."""


@dataclass(frozen=True)
class ModelFile:
    """What an ONNX file holds.

    Parameters
    ----------
    path
        Where the file is.
    model
        The model as `sdmetrics.probes.onnx_file.load_model` returns it; for a probe, the graph as it is in the file,
        with its weights.
    metadata
        What the file says about itself; None if this package did not write it.
    sha256
        The hash of the file and of the files that hold its weights.
    """

    path: Path
    model: ModelProto
    metadata: Metadata | None
    sha256: str

    @property
    def is_probe(self) -> bool:
        """Whether it is a probe."""
        return self.metadata is not None and self.metadata.kind == "probe"


def read_model_file(path: str | Path | ModelFile) -> ModelFile:
    """Read and parse an ONNX file once; a `ModelFile` is returned unchanged.

    Raises
    ------
    InputError
        If there is no such file, it is not ONNX, or its metadata or its weights cannot be read.
    """
    if isinstance(path, ModelFile):
        return path
    path = Path(path)
    data = read_model_bytes(path)
    graph = parse_graph(data, path)
    metadata = metadata_of(graph, str(path))
    # Reading the weights makes the graph forget which files they were in.
    sha256 = hash_model(data, graph, path)
    is_probe = metadata is not None and metadata.kind == "probe"
    return ModelFile(path, with_weights(graph, path) if is_probe else complete_model(graph, path), metadata, sha256)


def read_probe(probe: Path | bytes | ModelFile) -> ModelFile:
    """Return a probe, proven to have the inputs and outputs that its metadata describe.

    Parameters
    ----------
    probe
        A file, its content, or a probe that is read or made already.

    Raises
    ------
    InputError
        If it is not a probe, or does not have the inputs and outputs that it describes; if weights of the file are
        missing or outside its folder, or those of a content are in other files.
    """
    origin = name_of(probe)
    file = probe if isinstance(probe, ModelFile) else _opened(probe, origin)
    metadata = file.metadata
    if metadata is None or metadata.kind != "probe":
        raise InputError(f"{origin} is a model, not a probe; make one from it: sdmetrics probe MODEL")
    problem = next(_problems(file.model, metadata), None)
    if problem:
        raise InputError(
            f"{origin} carries sdmetrics metadata that do not fit its graph: {problem}. Make the probe again: "
            "sdmetrics probe MODEL"
        )
    check_sources(metadata.inputs)
    return file


def name_of(probe: Path | bytes | ModelFile) -> str:
    """Return the name of a probe in messages."""
    return "the probe" if isinstance(probe, (bytes, ModelFile)) else f"probe {probe}"


def _opened(probe: Path | bytes, origin: str) -> ModelFile:
    """Return a probe that is a file or its content."""
    path = Path() if isinstance(probe, bytes) else Path(probe)
    if not isinstance(probe, bytes) and (path.is_dir() or not path.exists()):
        raise InputError(f"{origin} does not exist or is not a file; make one: sdmetrics probe MODEL")
    data = probe if isinstance(probe, bytes) else read_bytes(path, LIMIT)
    graph = parsed(data, origin)
    if graph is None:
        raise InputError(f"{origin} is not a probe; make one: sdmetrics probe MODEL")
    metadata = metadata_of(graph, origin)
    check_graph(graph, origin)
    if not isinstance(probe, bytes):
        sha256 = hash_model(data, graph, path)
        return ModelFile(path, with_weights(graph, path), metadata, sha256)
    if any(external_tensors(graph)):
        raise InputError(f"{origin} keeps weights in other files; pass the path of its file")
    return ModelFile(path, graph, metadata, hashlib.sha256(data).hexdigest())


def _problems(model: ModelProto, metadata: Metadata) -> Iterator[str]:
    """Yield what the metadata say and the graph contradicts."""
    kinds = require("onnx", extra="cpu").TensorProto
    inputs, outputs = _described(model.graph.input), _described(model.graph.output)
    if not metadata.inputs:
        yield "they describe no input"
    expected: dict[str, Described] = {}
    for item in metadata.inputs:
        kind = kinds.FLOAT if item.source == "flow_vectors" else kinds.UINT8
        expected[item.source] = kind, (None, None, *item.size, item.channels)
        expected[order_name(item)] = kinds.INT64, (None, item.frames)
    for layer in metadata.layers if metadata.masks else ():
        expected[f"mask/{layer.name}"] = kinds.FLOAT, (layer.units,)
    for name, described in expected.items():
        if not _fits(inputs.get(name), described):
            yield f"input {name!r} is {_words(inputs.get(name))}, described as {_words(described)}"
    weights = {tensor.name for tensor in model.graph.initializer}
    for name in inputs.keys() - expected.keys() - weights:
        yield f"input {name!r} is not described"
    for layer in metadata.layers:
        described = kinds.FLOAT, (None, layer.units)
        name = f"units/{layer.name}"
        if not _fits(outputs.get(name), described):
            yield f"output {name!r} is {_words(outputs.get(name))}, described as {_words(described)}"
    for name in metadata.outputs:
        if name not in outputs:
            yield f"output {name!r} does not exist"


def _described(values: list[ValueInfoProto]) -> dict[str, Described]:
    """Return type and shape of tensors by name."""
    return {
        value.name: (
            value.type.tensor_type.elem_type,
            tuple(size.dim_value if size.HasField("dim_value") else None for size in value.type.tensor_type.shape.dim),
        )
        for value in values
    }


def _fits(found: Described | None, expected: Described) -> bool:
    """Return whether a tensor is of a type and shape, as far as its file states them."""
    if found is None or found[0] != expected[0] or len(found[1]) != len(expected[1]):
        return False
    return all(None in (a, b) or a == b for a, b in zip(found[1], expected[1], strict=True))


def _words(described: Described | None) -> str:
    """Return a type and a shape in words."""
    if described is None:
        return "missing"
    kind, shape = described
    name = require("onnx", extra="cpu").TensorProto.DataType.Name(kind).lower()
    return f"{name} ({', '.join('any' if size is None else str(size) for size in shape)})"
