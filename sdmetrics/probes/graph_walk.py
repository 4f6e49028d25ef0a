"""Walk over the nodes and the stored tensors of a graph, with those of the graphs inside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs that a node (If, Loop, Scan) holds."""
    for attribute in node.attribute:
        yield from _graphs_of(attribute)


def with_inner(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield nodes and those of the graphs that they hold."""
    for node in nodes:
        yield node
        for inner in subgraphs(node):
            yield from with_inner(inner.node)


def stored_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor that a file stores: weights and constants, in sub-graphs and functions, too."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield the tensors of a graph."""
    yield from graph.initializer
    yield from _of_sparse(graph.sparse_initializer)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """Yield the tensors that nodes hold as attributes, or in a graph."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            yield from _of_sparse(attribute.sparse_tensors)
            if attribute.HasField("sparse_tensor"):
                yield from _of_sparse([attribute.sparse_tensor])
            for inner in _graphs_of(attribute):
                yield from _of_graph(inner)


def _of_sparse(tensors: Iterable[SparseTensorProto]) -> Iterator[TensorProto]:
    """Yield the two tensors of each sparse one."""
    for tensor in tensors:
        yield from (tensor.values, tensor.indices)


def _graphs_of(attribute: AttributeProto) -> Iterator[GraphProto]:
    """Yield the graphs that an attribute holds."""
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs
