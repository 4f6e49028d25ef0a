"""Read a probe from outside: its description is checked against its graph before anything is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.probes.feeds import check_sources, order_name
from sdmetrics.probes.graph_limits import check_graph
from sdmetrics.probes.metadata import Metadata, metadata_of
from sdmetrics.probes.onnx_file import parsed
from sdmetrics.probes.weight_files import external_tensors

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

Described = tuple[int, tuple[int | None, ...]]
"""Type and shape of a tensor; a size is None if it is not fixed."""


def read_probe(data: bytes, file: str) -> Metadata:
    """Return the metadata of a probe, proven to describe its graph.

    Parameters
    ----------
    data
        The content of the file.
    file
        Its name in messages, e.g. its path after the word probe.

    Raises
    ------
    InputError
        If it is not a probe, keeps weights in other files, or does not have the inputs and outputs that it describes.
    """
    graph = parsed(data, file)
    if graph is None:
        raise InputError(f"{file} is not a probe; make one: sdmetrics probe MODEL")
    metadata = metadata_of(graph, file)
    if metadata is None or metadata.kind != "probe":
        raise InputError(f"{file} is a model, not a probe; make one from it: sdmetrics probe MODEL")
    if any(external_tensors(graph)):
        raise InputError(
            f"{file} keeps weights in other files, which a probe does not; make it again: sdmetrics probe MODEL"
        )
    check_graph(graph, file)
    problem = next(_problems(graph, metadata), None)
    if problem:
        raise InputError(
            f"{file} carries sdmetrics metadata that do not fit its graph: {problem}. Make the probe again: sdmetrics "
            "probe MODEL"
        )
    check_sources(metadata.inputs)
    return metadata


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
