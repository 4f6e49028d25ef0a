"""Read, change and write ONNX files: the basic steps on a graph that every part of the package shares."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics._files import replacing
from sdmetrics._reading import read_bytes
from sdmetrics.errors import InputError, one_line, require
from sdmetrics.probes.graph_limits import check_graph, open_unknown_sizes
from sdmetrics.probes.graph_walk import subgraphs
from sdmetrics.probes.kept_weights import SUFFIX, kept_tensors, read_weights, without_kept, write_kept
from sdmetrics.probes.weight_files import add_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

LIMIT = 2**31 - 1
"""Bytes that one ONNX file without external data can hold."""

OR_TORCH = ", or analyze it with sdmetrics.runners.torch"
"""A further remedy of `check_size`, where the model may be a torch module."""


def load_graph(path: Path) -> ModelProto:
    """Read an ONNX file without the weights that it keeps in other files.

    Raises
    ------
    InputError
        If there is no such file or it is not ONNX.
    """
    return parse_graph(read_model_bytes(path), path)


def load_model(path: Path) -> ModelProto:
    """Read an ONNX file with all of its weights, its functions inlined and its nodes in order.

    Raises
    ------
    InputError
        If there is no such file, it is not ONNX, or weights are missing or outside the file's own folder.
    """
    return complete_model(load_graph(path), path)


def read_model_bytes(path: Path) -> bytes:
    """Return the bytes of a model's file.

    Raises
    ------
    InputError
        If it is not an ordinary file, cannot be read, or is larger than an ONNX file can be.
    """
    path = Path(path)
    if (path / "results.json").is_file():
        raise InputError(f"model {path} is the folder of a run; pass the path of an ONNX file")
    if path.is_dir() or not path.exists():
        raise InputError(f"model {path} does not exist or is not a file; pass the path of an ONNX file")
    return read_bytes(path, LIMIT)


def parse_graph(data: bytes, path: Path) -> ModelProto:
    """Parse the bytes of an ONNX file, without the weights that it keeps in other files.

    Raises
    ------
    InputError
        If they are not ONNX, or the graph is not one that a model can have; `path` names the file.
    """
    model = parsed(data, str(path))
    if model is None:
        raise InputError(
            f"model {path} is not an ONNX file; export it first, e.g. with sdmetrics.exporters.torch.export"
        )
    check_graph(model, f"model {path}")
    open_unknown_sizes(model)
    return model


def parsed(data: bytes, file: str) -> ModelProto | None:
    """Return the model that the bytes of a file hold, unchecked, or None if they are not ONNX."""
    onnx = require("onnx", extra="cpu")
    stream = io.BytesIO(data)
    # The extension decides between binary and text, as for a path.
    stream.name = file
    try:
        model: ModelProto = onnx.load(stream, load_external_data=False)
    except Exception:
        return None
    return model if model.graph.node else None


def complete_model(graph: ModelProto, path: Path) -> ModelProto:
    """Return a parsed model with all of its weights, its functions inlined and its nodes in order.

    Raises
    ------
    InputError
        If weights are missing or outside the file's own folder, or the model is not valid.
    """
    with_weights(graph, path)
    try:
        inlined: ModelProto = require("onnx.inliner", extra="cpu").inline_local_functions(graph)
        sort_nodes(inlined.graph)
    except CycleError:
        raise InputError(f"model {path} is not valid ONNX: its nodes are in a cycle; export it again") from None
    except Exception as error:
        raise InputError(f"model {path} is not valid ONNX: {one_line(error)}") from None
    return inlined


def with_weights(graph: ModelProto, path: Path) -> ModelProto:
    """Read the weights of a parsed model into it, as `read_weights` does, and return it.

    Raises
    ------
    InputError
        If weights are missing or outside the file's own folder, or more than a file without them can hold.
    """
    try:
        read_weights(graph, path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"model {path} has weights that cannot be read: {one_line(error)}") from None
    check_size(graph.ByteSize(), f"model {path}")
    return graph


def save_model(model: ModelProto, path: Path) -> Path:
    """Check the whole model and write it to `path`. Readers never see a partially written file.

    Raises
    ------
    InputError
        If the model is not valid or larger than one file can be, or the folder cannot be written to.
    """
    check_model(model, path.name)
    return write_model(model, Path(path))


def write_model(model: ModelProto, path: Path) -> Path:
    """Write a model to `path`, and the weights that it keeps in files to a file of its own beside it."""
    with replacing(path) as temporary:
        if kept_tensors(model.graph):
            name = path.name + SUFFIX
            with replacing(path.with_name(name)) as weights:
                model = write_kept(model, weights, name)
        temporary.write_bytes(model.SerializeToString())
    return path


def check_model(model: ModelProto, name: str) -> None:
    """Run ONNX's full check, shapes included; raise an `InputError` that names the model if it fails."""
    onnx = require("onnx", extra="cpu")
    check_size(model.ByteSize(), f"model {name}", OR_TORCH)
    try:
        onnx.checker.check_model(without_kept(model), full_check=True)
    except Exception as error:
        raise InputError(f"model {name} is not valid ONNX: {one_line(error)}") from None


def check_size(size: int, owner: str, remedy: str = "") -> None:
    """Raise an `InputError` if the weights of `owner`, `size` bytes, do not fit into one file."""
    if size > LIMIT:
        raise InputError(
            f"{owner} has {size / 2**30:.1f} GiB of weights; one ONNX file holds less than 2 GiB. Export it with "
            f"half-precision weights{remedy}"
        )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a model's file and of the files that hold its weights."""
    data = read_model_bytes(path)
    return hash_model(data, parse_graph(data, path), path)


def hash_model(data: bytes, graph: ModelProto, path: Path) -> str:
    """Return the SHA-256 of a file's content and of the files that hold the weights of its graph.

    Raises
    ------
    InputError
        See `add_weights`.
    """
    digest = hashlib.sha256(data)
    add_weights(digest, graph, path)
    return digest.hexdigest()


def attribute(node: NodeProto, name: str, default: object) -> Any:  # noqa: ANN401 (as ONNX)
    """Return a node's attribute."""
    helper = require("onnx", extra="cpu").helper
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def set_nodes(graph: GraphProto, nodes: Sequence[NodeProto]) -> None:
    """Replace the nodes of a graph."""
    # A graph's own nodes die with its list: what is kept has to be copied before the list is emptied.
    copies = []
    for node in nodes:
        copy = type(node)()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


def sort_nodes(graph: GraphProto) -> None:
    """Put the nodes into the order of the computation, as some converters append theirs at the end."""
    makers = {output: index for index, node in enumerate(graph.node) for output in node.output if output}
    needs = {
        index: [makers[name] for name in all_reads(node) if name in makers] for index, node in enumerate(graph.node)
    }
    if any(maker >= index for index, found in needs.items() for maker in found):
        set_nodes(graph, [graph.node[index] for index in TopologicalSorter(needs).static_order()])


def all_reads(node: NodeProto) -> Iterator[str]:
    """Yield the tensors that a node reads, also from within the graphs it holds."""
    yield from node.input
    for inner in subgraphs(node):
        for each in inner.node:
            yield from all_reads(each)
        yield from (output.name for output in inner.output)
