"""Convert a TensorFlow function to an ONNX model with tf2onnx, with marks that keep the layers apart.

A mark is an operation that returns its input. tf2onnx is configured to leave marks unchanged, so nothing is folded into
a layer or moved past it: a mark reads exactly the layer's tensor, and the layer's consumers read the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.exporters._assembly.finish import LAYER
from sdmetrics.exporters._tensorflow.tf2onnx_fixes import DOMAIN, finish, mark_text
from sdmetrics.probes.feeds import Arrays
from sdmetrics.probes.quiet import quiet, silent_stderr

if TYPE_CHECKING:
    from onnx import ModelProto
    from tensorflow import Tensor
    from tensorflow.types.experimental import ConcreteFunction

OPSET = 18
MARK = "PreventGradient"
"""TensorFlow's identity that carries a text and is not removed by any of its optimisers."""

Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class TraceableModel:
    """A model that can be run and traced, with the requested layers.

    Parameters
    ----------
    layers
        Names of the layers.
    run
        Takes one tensor per input, by name, and returns the model's own outputs and its layers' tensors, by name.
    run_marked
        Does the same in a trace. The layers' consumers read `mark(name, tensor)`, which is also what it returns for
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
    """Return the mark of a layer's tensor, which its consumers read."""
    import tensorflow as tf

    return tf.raw_ops.PreventGradient(input=tensor, message=mark_text(name))


def forward(model: TraceableModel, arrays: Arrays) -> Arrays:
    """Return what the model itself computes: its outputs and `layer/<name>` of every layer."""
    import tensorflow as tf

    own, taps = model.run({name: tf.constant(array) for name, array in arrays.items()})
    tensors = {**own, **{LAYER + name: taps[name] for name in model.layers}}
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def to_onnx(model: TraceableModel, example: Arrays) -> ModelProto:
    """Convert a model to ONNX with one output `layer/<name>` per layer; `example` are the arrays it reads, by input.

    Raises
    ------
    InputError
        If tf2onnx cannot convert the model.
    """
    import tensorflow as tf

    tf2onnx, onnx = require("tf2onnx", extra="tensorflow"), require("onnx", extra="cpu")
    # A model that cannot run fails with the clearest message when it is really run.
    forward(model, example)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def traced(*tensors: Tensor) -> dict[str, Tensor]:
        own, marks = model.run_marked(dict(zip(example, tensors, strict=True)))
        return {**own, **{LAYER + name: tensor for name, tensor in marks.items()}}

    # TensorFlow allows few characters in names.
    neutral = {f"input_{index}": name for index, name in enumerate(example)}
    signature = [
        tf.TensorSpec((None, *array.shape[1:]), tf.float32, name=name)
        for name, array in zip(neutral, example.values(), strict=True)
    ]
    with _inlined():
        concrete = traced.get_concrete_function(*signature)
    try:
        with quiet("tf2onnx", "tensorflow", "absl"), silent_stderr():
            converted: ModelProto
            converted, _ = tf2onnx.convert.from_function(
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
    finish(converted, neutral, _held_constants(concrete, len(neutral)), model.layers)
    return converted


def _held_constants(function: ConcreteFunction, inputs: int) -> dict[str, NDArray[Any]]:
    """Return by name the tensors that a function captures and that are not variables."""
    import tensorflow as tf

    values = zip(function.inputs[inputs:], function.captured_inputs, strict=True)
    return {into.name: value.numpy() for into, value in values if value.dtype != tf.resource}


@contextmanager
def _inlined() -> Iterator[None]:
    """While the block runs, inline functions within functions, as tf2onnx does not convert those compiled by XLA.

    Keras uses such functions where TensorFlow's own operations are missing on the CPU: channels-first and grouped
    convolutions.
    """
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _leave_alone(_graph: object, node: Any, _name: str, _args: object) -> None:  # noqa: ANN401 (tf2onnx has no types)
    """Move a mark to another domain, which tf2onnx and its optimisers do not know."""
    node.domain = DOMAIN


def _erfc(graph: Any, node: Any, name: str, _args: object) -> None:  # noqa: ANN401 (tf2onnx has no types)
    """Convert erfc to 1 - erf. Keras computes GELU with erfc, which tf2onnx does not know."""
    onnx = require("onnx", extra="cpu")
    kind, shape = graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
    one = graph.make_const(f"{name}/one", np.ones((), onnx.helper.tensor_dtype_to_np_dtype(kind)))
    graph.remove_node(name)
    erf = graph.make_node("Erf", [node.input[0]], name=f"{name}/erf", shapes=[shape], dtypes=[kind])
    graph.make_node(
        "Sub", [one.output[0], erf.output[0]], outputs=node.output, name=name, shapes=[shape], dtypes=[kind]
    )
