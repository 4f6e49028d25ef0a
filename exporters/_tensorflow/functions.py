"""Prepare a SavedModel or another TensorFlow function for the export: its operations by name, and its outputs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, one_line
from sdmetrics.exporters._tensorflow.convert import MARK, Tensors, TraceableModel
from sdmetrics.exporters._tensorflow.tf2onnx_fixes import mark_text
from sdmetrics.probes.feeds import Arrays
from sdmetrics.probes.layer_names import check_layer_names
from sdmetrics.probes.onnx_file import check_size

if TYPE_CHECKING:
    from tensorflow import GraphDef, Operation, Tensor
    from tensorflow.types.experimental import ConcreteFunction

SIGNATURE = "serving_default"
OWNER = "the function"
"""What errors call the model."""

CALLS = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")
"""The prefix that TensorFlow adds to the names in a saved function."""


def traceable_function(model: object, layers: Sequence[str] | Mapping[str, int], example: Arrays) -> TraceableModel:
    """Prepare a SavedModel, tf.Module or tf.function, whose layers are operations.

    Raises
    ------
    InputError
        If there is no function to call, it is too large, or an operation does not exist.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = concrete_function(model, example)
    outputs = _output_names(function)
    places = _places(function, example)
    try:
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)
        graph: GraphDef = frozen.graph.as_graph_def()
    except Exception as error:
        raise InputError(f"TensorFlow cannot make constants of the model's variables: {one_line(error)}") from error
    check_size(graph.ByteSize(), "the model")
    operations = _operations(frozen)
    chosen = {name: operations[name] for name in check_layer_names(layers, list(operations), OWNER, "operation")}
    fetched = frozen.prune(frozen.inputs, [*frozen.outputs, *(each.outputs[0] for each in chosen.values())])
    marked = _marked(graph, chosen)

    def fed(tensors: Tensors) -> list[Tensor]:
        return [tf.cast(tensors[name], into.dtype) for name, into in zip(places, frozen.inputs, strict=True)]

    def named(returned: Sequence[Tensor]) -> tuple[Tensors, Tensors]:
        own, taps = returned[: len(outputs)], returned[len(outputs) :]
        return dict(zip(outputs, own, strict=True)), dict(zip(chosen, taps, strict=True))

    def run(tensors: Tensors) -> tuple[Tensors, Tensors]:
        try:
            return named(fetched(*fed(tensors)))
        except Exception as error:
            raise InputError(
                f"the function fails on inputs of the shapes {[tuple(t.shape) for t in tensors.values()]}: "
                f"{one_line(error)}. Check the layout, frames and size of its inputs; its batch has to be dynamic"
            ) from error

    def run_marked(tensors: Tensors) -> tuple[Tensors, Tensors]:
        marks = {each.outputs[0].name: f"{MARK}_{index}:0" for index, each in enumerate(chosen.values())}
        returned = [*(marks.get(output.name, output.name) for output in frozen.outputs), *marks.values()]
        inputs = dict(zip([value.name for value in frozen.inputs], fed(tensors), strict=True))
        return named(tf.graph_util.import_graph_def(marked, inputs, returned, name=""))

    return TraceableModel(
        layers=list(chosen),
        run=run,
        run_marked=run_marked,
        framework=f"tensorflow {tf.__version__}",
        sha256=_constants_sha256(graph),
    )


def concrete_function(model: object, example: Arrays | None = None) -> ConcreteFunction:
    """Return the function of a SavedModel's signature, or of a callable that takes one tensor per input, in order.

    Raises
    ------
    InputError
        If there is no such function.
    """
    import tensorflow as tf

    signatures: Any = getattr(model, "signatures", None)
    if signatures:
        if SIGNATURE in signatures:
            return signatures[SIGNATURE]
        raise InputError(f"the SavedModel has the signatures {list(signatures)}; expected {SIGNATURE!r}")
    if hasattr(model, "structured_input_signature"):
        return model
    if not callable(model) or example is None:
        raise InputError(
            f"the model is a {type(model).__name__}, which is neither a Keras model nor a TensorFlow function; save it "
            f"with the signature {SIGNATURE!r}, or pass a tf.Module that can be called"
        )
    specs = [
        tf.TensorSpec((None, *array.shape[1:]), tf.float32, name=f"input_{i}")
        for i, array in enumerate(example.values())
    ]
    try:
        return tf.function(model).get_concrete_function(*specs)
    except Exception as error:
        raise InputError(
            f"{type(model).__name__} cannot be traced on tensors of the shapes {[tuple(s.shape) for s in specs]}: "
            f"{one_line(error)}"
        ) from error


def input_specs(function: ConcreteFunction) -> list[Any]:
    """Return the function's inputs in order, each with its name, shape and type."""
    import tensorflow as tf

    return [spec for spec in tf.nest.flatten(function.structured_input_signature) if isinstance(spec, tf.TensorSpec)]


def _places(function: ConcreteFunction, example: Arrays) -> list[str]:
    """Return the model inputs in the function's order: a single input by its place, several inputs by their names."""
    specs = input_specs(function)
    names = [spec.name for spec in specs]
    for spec in specs:
        if not (spec.dtype.is_floating or spec.dtype.is_integer):
            raise InputError(f"input {spec.name!r} of the function is of type {spec.dtype.name}; frames are numbers")
    ours = list(example)
    if len(ours) == len(names) == 1 or names == [f"input_{index}" for index in range(len(ours))]:
        return ours
    if sorted(ours) != sorted(names):
        raise InputError(
            f"the function's inputs are {names}, described are {ours}; pass one ModelInput of its name for every input"
        )
    return names


def _output_names(function: ConcreteFunction) -> list[str]:
    """Return the names of the function's outputs."""
    outputs = function.structured_outputs
    if isinstance(outputs, dict):
        return [str(key) for key in sorted(outputs)]
    return ["output"] if len(function.outputs) == 1 else [f"output_{i}" for i in range(len(function.outputs))]


def _operations(function: Any) -> dict[str, Operation]:  # noqa: ANN401 (TensorFlow's WrappedFunction has no public name)
    """Return by name the operations that return floating-point numbers and depend on an input."""
    reached = {value.name for value in function.inputs}
    found = {}
    for operation in function.graph.get_operations():
        if operation.type == "Placeholder" or not any(value.name in reached for value in operation.inputs):
            continue
        reached.update(value.name for value in operation.outputs)
        # Function calls leave an Identity at their borders.
        if operation.outputs and operation.outputs[0].dtype.is_floating and operation.type != "Identity":
            found[operation.name] = operation
    short = {name: CALLS.sub("", name) for name in found}
    kept = list(short.values())
    return {short[name] if kept.count(short[name]) == 1 else name: each for name, each in found.items()}


def _marked(graph: GraphDef, layers: Mapping[str, Operation]) -> GraphDef:
    """Return the graph with a mark between every layer and its consumers."""
    marked = type(graph)()
    marked.CopyFrom(graph)
    marks = {each.name: f"{MARK}_{index}" for index, each in enumerate(layers.values())}
    for node in marked.node:
        for index, name in enumerate(node.input):
            node.input[index] = marks.get(name.removesuffix(":0"), name)
    for name, operation in layers.items():
        node = marked.node.add(name=marks[operation.name], op=MARK, input=[operation.name])
        node.attr["T"].type = operation.outputs[0].dtype.as_datatype_enum
        node.attr["message"].s = mark_text(name).encode()
    return marked


def _constants_sha256(graph: GraphDef) -> str:
    """Return the SHA-256 of all constants, in the graph's order."""
    digest = hashlib.sha256()
    for node in graph.node:
        if node.op == "Const":
            digest.update(node.attr["value"].tensor.SerializeToString(deterministic=True))
    return digest.hexdigest()
