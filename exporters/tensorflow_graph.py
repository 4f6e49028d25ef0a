"""A TensorFlow function to an ONNX model: tf2onnx runs, and the layers stay where they were marked.

A mark is an operation that hands on what it is given. tf2onnx is told to leave marks alone, so nothing is folded
into a layer or moved past it: what a mark reads is the layer's tensor exactly, and what follows reads the mark.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, require
from sdmetrics.exporters.assemble import MASK_NODE
from sdmetrics.exporters.declare import LAYER
from sdmetrics.exporters.graph import one_line, rename_uses, shapes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from tensorflow import Tensor
    from tensorflow.types.experimental import ConcreteFunction

OPSET = 18
MARK = "PreventGradient"
"""TensorFlow's identity that carries a text and that none of its optimisers removes."""

DOMAIN = "sdmetrics"
BEHIND = "sdmetrics/behind/"

Tensors = Mapping[str, "Tensor"]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Source:
    """A model that can be run and traced, with the layers that were asked for.

    Parameters
    ----------
    layers
        Their names.
    run
        One tensor per input, by name, to the model's own outputs, by name, and its layers' tensors.
    run_marked
        The same in a trace, with the layers' consumers reading `mark(name, tensor)`, which is what it returns for
        each layer.
    framework, sha256
        Name and version of the framework, hash of the weights.
    """

    layers: Sequence[str]
    run: Callable[[Tensors], tuple[Tensors, Tensors]]
    run_marked: Callable[[Tensors], tuple[Tensors, Tensors]]
    framework: str
    sha256: str


def mark(name: str, tensor: Tensor) -> Tensor:
    """Return what a layer's consumers are to read."""
    import tensorflow as tf

    return tf.raw_ops.PreventGradient(input=tensor, message=mark_text(name))


def mark_text(name: str) -> str:
    """Return the text that tells whose mark it is."""
    return MASK_NODE + name


def forward(source: Source, arrays: Arrays) -> Arrays:
    """Return the model's own numbers: its outputs and `layer/<name>` of every layer."""
    import tensorflow as tf

    own, taps = source.run({name: tf.constant(array) for name, array in arrays.items()})
    found = {**own, **{LAYER + name: taps[name] for name in source.layers}}
    return {name: tensor.numpy() for name, tensor in found.items()}


def to_onnx(source: Source, example: Arrays) -> ModelProto:
    """Return a model's ONNX model with one output `layer/<name>` per layer; `example` is what it reads, by input.

    Raises
    ------
    InputError
        If tf2onnx cannot convert the model.
    """
    import tensorflow as tf

    tf2onnx, onnx = require("tf2onnx", extra="tensorflow"), require("onnx", extra="cpu")
    several, one = forward(source, example), forward(source, {name: array[:1] for name, array in example.items()})

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def traced(*tensors: Tensor) -> dict[str, Tensor]:
        own, marks = source.run_marked(dict(zip(example, tensors, strict=True)))
        return {**own, **{BEHIND + name: tensor for name, tensor in marks.items()}}

    # TensorFlow allows few characters in names.
    neutral = {f"input_{index}": name for index, name in enumerate(example)}
    signature = [
        tf.TensorSpec((None, *array.shape[1:]), tf.float32, name=name)
        for name, array in zip(neutral, example.values(), strict=True)
    ]
    with inlining():
        concrete = traced.get_concrete_function(*signature)
    try:
        with quiet():
            model, _ = tf2onnx.convert.from_function(
                traced,
                signature,
                opset=OPSET,
                custom_op_handlers={MARK: (_leave_alone, []), "Erfc": (_erfc, [])},
                extra_opset=[onnx.helper.make_opsetid(DOMAIN, 1)],
            )
    except Exception as error:
        raise InputError(
            f"tf2onnx {tf2onnx.__version__} cannot convert the model: {type(error).__name__}: {one_line(error)}"
        ) from error
    _name_inputs(model, concrete, neutral)
    _marks_to_layers(model, source.layers)
    _refuse_foreign_nodes(model)
    _mend_groups(model)
    _give_shapes(model, one, several)
    return model


@contextmanager
def inlining() -> Iterator[None]:
    """Trace functions within functions as part of them: tf2onnx does not look into those compiled by XLA.

    Keras has some of those where TensorFlow's own operations are missing on the CPU: channels-first and grouped
    convolutions.
    """
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _name_inputs(model: ModelProto, concrete: ConcreteFunction, names: Mapping[str, str]) -> None:
    """Give the inputs their names; a tensor that the function holds without being a variable becomes a constant."""
    numpy_helper = require("onnx", extra="cpu").numpy_helper
    graph = model.graph
    held = dict(zip([value.name for value in concrete.inputs[len(names) :]], concrete.captured_inputs, strict=True))
    for value in list(graph.input):
        name = names.get(value.name.removesuffix(":0"))
        if name is None:
            graph.initializer.append(numpy_helper.from_array(held[value.name].numpy(), value.name))
            graph.input.remove(value)
        else:
            rename_uses(graph, value.name, name)
            value.name = name
            value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _leave_alone(_graph: object, node: Any, _name: str, _args: object) -> None:  # noqa: ANN401 (tf2onnx has no types)
    """Give a mark a domain of its own, which tf2onnx and its optimisers know nothing of."""
    node.domain = DOMAIN


def _erfc(graph: Any, node: Any, name: str, _args: object) -> None:  # noqa: ANN401 (tf2onnx has no types)
    """Convert erfc, of which Keras makes GELU and which tf2onnx does not know: 1 - erf."""
    onnx = require("onnx", extra="cpu")
    kind, shape = graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
    one = graph.make_const(f"{name}/one", np.ones((), onnx.helper.tensor_dtype_to_np_dtype(kind)))
    graph.remove_node(name)
    erf = graph.make_node("Erf", [node.input[0]], name=f"{name}/erf", shapes=[shape], dtypes=[kind])
    graph.make_node(
        "Sub", [one.output[0], erf.output[0]], outputs=node.output, name=name, shapes=[shape], dtypes=[kind]
    )


def _marks_to_layers(model: ModelProto, layers: Sequence[str]) -> None:
    """Turn each mark into an Identity of a known name, and what it reads into the output of its layer."""
    onnx = require("onnx", extra="cpu")
    graph = model.graph
    marks = {_text(node): node for node in graph.node if node.domain == DOMAIN}
    outputs = {value.name: value for value in graph.output}
    nodes: list[NodeProto] = []
    for node in graph.node:
        name = next((name for name in layers if marks.get(mark_text(name)) is node), None)
        if name is not None:
            outputs[BEHIND + name].name = LAYER + name
            nodes.append(onnx.helper.make_node("Identity", [node.input[0]], [LAYER + name], name=LAYER + name))
            node.name = MASK_NODE + name
        if node.domain == DOMAIN:
            node.op_type, node.domain = "Identity", ""
            del node.attribute[:]
        nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    for name in layers:
        if mark_text(name) not in marks:
            raise InputError(f"tf2onnx dropped layer {name!r}; name another layer")
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import.remove(next(entry for entry in model.opset_import if entry.domain == DOMAIN))


def _mend_groups(model: ModelProto) -> None:
    """Give 3-D convolutions in groups their number of groups, which tf2onnx leaves out."""
    known = shapes(model)
    for node in model.graph.node:
        if node.op_type == "Conv":
            channels, per_group = (known.get(name, ("?", "?"))[1] for name in node.input[:2])
            for attribute in node.attribute:
                if attribute.name == "group" and isinstance(channels, int) and isinstance(per_group, int):
                    attribute.i = channels // per_group


def _give_shapes(model: ModelProto, one: Arrays, several: Arrays) -> None:
    """Write into the outputs the shapes that they have for one clip and for several."""
    for value in model.graph.output:
        dims = value.type.tensor_type.shape.dim
        del dims[:]
        for size, other in zip(one[value.name].shape, several[value.name].shape, strict=True):
            if size == other:
                dims.add(dim_value=size)
            else:
                dims.add(dim_param="batch" if size == 1 else f"{size}*batch")


def _text(node: NodeProto) -> str:
    """Return the text that a mark carries."""
    return next((attribute.s.decode() for attribute in node.attribute if attribute.name == "message"), "")


def _refuse_foreign_nodes(model: ModelProto) -> None:
    """Raise an `InputError` for operations that tf2onnx left as TensorFlow's."""
    onnx = require("onnx", extra="cpu")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    foreign = sorted(
        {
            node.op_type
            for node in model.graph.node
            if not onnx.defs.has(node.op_type, versions.get(node.domain, OPSET), node.domain)
        }
    )
    if foreign:
        raise InputError(
            f"ONNX has no counterpart of TensorFlow's {', '.join(foreign)}, which the model uses; replace the layers "
            "that use them"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep tf2onnx from reporting its progress and TensorFlow from warning of its own deprecations."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
