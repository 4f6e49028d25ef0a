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

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.exporters._assembly.finish import LAYER
from sdmetrics.exporters._tensorflow.tf2onnx_fixes import DOMAIN, finish, mark_text

if TYPE_CHECKING:
    from onnx import ModelProto
    from tensorflow import Tensor
    from tensorflow.types.experimental import ConcreteFunction

OPSET = 18
MARK = "PreventGradient"
"""TensorFlow's identity that carries a text and that none of its optimisers removes."""

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
    # What cannot run says so best where it really runs.
    forward(source, example)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def traced(*tensors: Tensor) -> dict[str, Tensor]:
        own, marks = source.run_marked(dict(zip(example, tensors, strict=True)))
        return {**own, **{LAYER + name: tensor for name, tensor in marks.items()}}

    # TensorFlow allows few characters in names.
    neutral = {f"input_{index}": name for index, name in enumerate(example)}
    signature = [
        tf.TensorSpec((None, *array.shape[1:]), tf.float32, name=name)
        for name, array in zip(neutral, example.values(), strict=True)
    ]
    with _inlining():
        concrete = traced.get_concrete_function(*signature)
    try:
        with _quiet():
            model: ModelProto
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
    finish(model, neutral, _held(concrete, len(neutral)), source.layers)
    return model


def _held(function: ConcreteFunction, inputs: int) -> dict[str, NDArray[Any]]:
    """Return the tensors that a function holds without their being variables, by name."""
    import tensorflow as tf

    values = zip(function.inputs[inputs:], function.captured_inputs, strict=True)
    return {into.name: value.numpy() for into, value in values if value.dtype != tf.resource}


@contextmanager
def _inlining() -> Iterator[None]:
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


@contextmanager
def _quiet() -> Iterator[None]:
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
