"""Find the tensors that are modules' outputs, in files of torch's newer exporter (`dynamo=True`).

Every node of such a file has the path of the modules in which it was traced. A module's output is the only value that
is computed inside the module and read outside of it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

SCOPES = "pkg.torch.onnx.name_scopes"
LONGEST = 10_000
"""Characters that the path of a node can have."""

RULE = "pkg.onnxscript.rewriter.rule_name"


def module_outputs(graph: GraphProto) -> dict[str, str]:
    """Return `{module path: tensor}` for every module whose output is certain."""
    scopes: dict[str, frozenset[str]] = {}
    readers: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    misplaced: set[str] = set()
    for node in graph.node:
        inside = _scopes(node)
        scopes.update(dict.fromkeys(node.output, inside))
        misplaced.update(_misplaced(node, inside))
        for name in node.input:
            readers[name].append(inside)
    for output in graph.output:
        readers[output.name].append(frozenset())
    leaving: defaultdict[str, set[str]] = defaultdict(set)
    for tensor, inside in scopes.items():
        for module in inside:
            if any(module not in reader for reader in readers[tensor]):
                leaving[module].add(tensor)
    return {
        module: next(iter(tensors))
        for module, tensors in leaving.items()
        if len(tensors) == 1 and module not in misplaced
    }


def _scopes(node: NodeProto) -> frozenset[str]:
    """Return the paths of the modules that a node was traced in."""
    text = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), "")
    if not text:
        return frozenset()
    try:
        path = ast.literal_eval(text[:LONGEST])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return frozenset()
    # The last entry names the operation, and the empty entry is the whole model.
    return frozenset(str(scope) for scope in path[:-1] if scope) if isinstance(path, list) else frozenset()


def _misplaced(node: NodeProto, inside: frozenset[str]) -> Iterable[str]:
    """Yield modules whose convolution has absorbed a later module's BatchNorm, so that it is not their output."""
    rules = next((entry.value for entry in node.metadata_props if entry.key == RULE), "")
    if "FuseBatchNorm" not in rules:
        return
    for name in node.input[1:]:
        parts = name.split(".")[:-1]
        for length in range(1, len(parts) + 1):
            if (module := ".".join(parts[:length])) not in inside:
                yield module
