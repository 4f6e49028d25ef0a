"""What exporting a SavedModel or another TensorFlow function needs of it: its operations by name, and its numbers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, one_line, suggest
from sdmetrics.exporters._tensorflow.convert import MARK, Arrays, Source, Tensors
from sdmetrics.exporters._tensorflow.tf2onnx_fixes import mark_text
from sdmetrics.probes.onnx_file import LIMIT

if TYPE_CHECKING:
    from tensorflow import GraphDef, Operation, Tensor
    from tensorflow.types.experimental import ConcreteFunction

SIGNATURE = "serving_default"
CALLS = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")
"""What TensorFlow writes before the names of a saved function."""


def function_source(model: object, layers: Sequence[str] | Mapping[str, int], example: Arrays) -> Source:
    """Return a SavedModel, tf.Module or tf.function with the operations that are wanted as layers.

    Raises
    ------
    InputError
        If there is no function to be called so, it is too large, or an operation does not exist.
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
    if graph.ByteSize() > LIMIT:
        raise InputError(f"the model has {graph.ByteSize() / 2**30:.1f} GiB; one ONNX file holds less than 2 GiB")
    chosen = _chosen(_operations(frozen), layers)
    fetched = frozen.prune(frozen.inputs, [*frozen.outputs, *(each.outputs[0] for each in chosen.values())])
    marked = _marked(graph, chosen)

    def fed(tensors: Tensors) -> list[Tensor]:
        return [tf.cast(tensors[name], into.dtype) for name, into in zip(places, frozen.inputs, strict=True)]

    def named(found: Sequence[Tensor]) -> tuple[Tensors, Tensors]:
        own, taps = found[: len(outputs)], found[len(outputs) :]
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

    return Source(
        layers=list(chosen),
        run=run,
        run_marked=run_marked,
        framework=f"tensorflow {tf.__version__}",
        sha256=_constants_sha256(graph),
    )


def concrete_function(model: object, example: Arrays | None = None) -> ConcreteFunction:
    """Return the function of a SavedModel's signature, or that of a callable on one tensor per input, in their order.

    Raises
    ------
    InputError
        If there is none.
    """
    import tensorflow as tf

    signatures: Any = getattr(model, "signatures", None)
    if signatures:
        if SIGNATURE in signatures:
            return signatures[SIGNATURE]
        raise InputError(f"the SavedModel has the signatures {list(signatures)}; needed: {SIGNATURE!r}")
    if hasattr(model, "structured_input_signature"):
        return model
    if not callable(model) or example is None:
        raise InputError(
            f"the model is a {type(model).__name__}, which is neither a Keras model nor a TensorFlow function; save it "
            f"with the signature {SIGNATURE!r}, or give a tf.Module that can be called"
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
    """Return the function's inputs, each with its name, shape and type, in their order."""
    import tensorflow as tf

    return [spec for spec in tf.nest.flatten(function.structured_input_signature) if isinstance(spec, tf.TensorSpec)]


def _places(function: ConcreteFunction, example: Arrays) -> list[str]:
    """Return the model inputs in the function's order: one by its place, several by their names."""
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
            f"the function's inputs are {names}, described are {ours}; describe every input with one ModelInput of its "
            "name"
        )
    return names


def _output_names(function: ConcreteFunction) -> list[str]:
    """Return the names of the function's outputs."""
    found = function.structured_outputs
    if isinstance(found, dict):
        return [str(key) for key in sorted(found)]
    return ["output"] if len(function.outputs) == 1 else [f"output_{i}" for i in range(len(function.outputs))]


def _operations(function: Any) -> dict[str, Operation]:  # noqa: ANN401 (TensorFlow's WrappedFunction has no public name)
    """Return the operations that give floating-point numbers and that an input reaches, by name."""
    reached = {value.name for value in function.inputs}
    found = {}
    for operation in function.graph.get_operations():
        if operation.type == "Placeholder" or not any(value.name in reached for value in operation.inputs):
            continue
        reached.update(value.name for value in operation.outputs)
        # Calls of functions leave an Identity at their borders.
        if operation.outputs and operation.outputs[0].dtype.is_floating and operation.type != "Identity":
            found[operation.name] = operation
    short = {name: CALLS.sub("", name) for name in found}
    kept = list(short.values())
    return {short[name] if kept.count(short[name]) == 1 else name: each for name, each in found.items()}


def _chosen(known: Mapping[str, Operation], wanted: Sequence[str] | Mapping[str, int]) -> dict[str, Operation]:
    """Return the wanted operations."""
    if isinstance(wanted, str) or not wanted or len(set(wanted)) < len(wanted):
        raise InputError(f"layers are {wanted!r}; name at least one operation, each once, of {', '.join(known)}")
    for name in wanted:
        if name not in known:
            raise InputError(f"the function has no operation {name!r}. {suggest(name, known)}")
    return {name: known[name] for name in wanted}


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
