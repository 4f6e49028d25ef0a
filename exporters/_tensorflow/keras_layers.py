"""Prepare a Keras model for the export: its layers by path, what they return, how it is called, its weights."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from sdmetrics.errors import InputError
from sdmetrics.exporters._tensorflow.convert import Tensors, TraceableModel, mark
from sdmetrics.probes.feeds import Arrays
from sdmetrics.probes.layer_names import check_layer_names
from sdmetrics.probes.onnx_file import check_size

if TYPE_CHECKING:
    import keras
    from tensorflow import Tensor

Watch = Callable[[str, "Tensor"], "Tensor"]
"""Takes a layer's name and tensor, and returns the tensor that the layer's consumers read instead."""


def traceable_keras(model: keras.Model, layers: Sequence[str] | Mapping[str, int], example: Arrays) -> TraceableModel:
    """Prepare a Keras model with the requested layers. A call on `example` builds it if it is not built yet.

    Raises
    ------
    InputError
        If Keras runs on another backend, the model cannot be called or is too large, or a layer does not exist.
    """
    import keras
    import tensorflow as tf

    check_backend()
    call_model(model, {name: tf.constant(array) for name, array in example.items()})
    check_size(sum(np.asarray(weight.value).nbytes for weight in model.weights), model.name)
    by_path = layers_by_path(model)
    chosen = {name: by_path[name] for name in check_layer_names(layers, list(by_path), model.name, "layer")}

    def run(tensors: Tensors, watch: Watch = lambda _, tensor: tensor) -> tuple[Tensors, Tensors]:
        taps: dict[str, Tensor] = {}

        def watched(name: str, tensor: Tensor) -> Tensor:
            taps[name] = watch(name, tensor)
            return taps[name]

        with watching(chosen, watched):
            own = call_model(model, tensors)
        return own, taps

    def run_marked(tensors: Tensors) -> tuple[Tensors, Tensors]:
        with _unrolled(model):
            return run(tensors, mark)

    return TraceableModel(
        layers=list(chosen),
        run=run,
        run_marked=run_marked,
        framework=f"keras {keras.__version__} (tensorflow {tf.__version__})",
        sha256=_weights_sha256(model),
    )


def check_backend() -> None:
    """Raise an `InputError` unless Keras runs on TensorFlow."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"keras runs on {backend}, whose 3-D convolutions or names do not reach ONNX; set KERAS_BACKEND=tensorflow "
            "before Python starts and load the model again"
        )


def layers_by_path(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Return the layers of a model by name, in the order in which they were made. Nested ones are `outer/inner`.

    Raises
    ------
    InputError
        If two layers have the same path.
    """
    import keras

    by_path: dict[str, keras.layers.Layer] = {}

    def walk(parent: keras.layers.Layer, prefix: str, above: tuple[int, ...]) -> None:
        for layer in parent._flatten_layers(include_self=False, recursive=False):
            if isinstance(layer, keras.layers.InputLayer):
                continue
            path = prefix + layer.name
            if by_path.setdefault(path, layer) is not layer:
                raise InputError(f"the model has two layers called {path!r}; pass a different name=… to each")
            if id(layer) not in above:
                walk(layer, f"{path}/", (*above, id(layer)))

    walk(model, "", (id(model),))
    return by_path


@contextmanager
def watching(layers: Mapping[str, keras.layers.Layer], watch: Watch) -> Iterator[None]:
    """While the block runs, layers return `watch(name, tensor)` for the first tensor of what they return.

    Raises
    ------
    InputError
        In the block, if a layer runs twice in one forward, inside a loop, or returns no floating-point tensor; at the
        end of the block, if a layer never ran.
    """
    import tensorflow as tf

    place = tf.compat.v1.get_default_graph()
    ran: set[str] = set()
    problems: list[InputError] = []

    def replacing(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def replaced(*args: object, **kwargs: object) -> object:
            try:
                if name in ran:
                    raise InputError(
                        f"layer {name!r} runs more than once in a forward, so it is not one layer; name the layer "
                        "around it"
                    )
                if tf.compat.v1.get_default_graph() is not place:
                    raise InputError(
                        f"layer {name!r} runs inside a loop or a tf.function, which keeps its values; name the layer "
                        "around it"
                    )
                ran.add(name)
                return _with_first_tensor(name, call(*args, **kwargs), watch)
            except InputError as error:
                problems.append(error)
                raise

        return replaced

    for name, layer in layers.items():
        # This bypasses the layer's own __setattr__, which tracks attributes and may be locked.
        vars(layer)["call"] = replacing(name, layer.call)
    try:
        yield
    except Exception:
        # Keras rewrites the text of errors that are raised in a layer.
        if problems:
            raise problems[0] from None
        raise
    finally:
        for layer in layers.values():
            vars(layer).pop("call", None)
    for name in layers:
        if name not in ran:
            raise InputError(
                f"layer {name!r} does not run in a forward of the model, or only inside a tf.function; name another "
                "layer"
            )


@contextmanager
def _unrolled(model: keras.Model) -> Iterator[None]:
    """While the block runs, unroll the steps of recurrent layers, as loops in ONNX graphs are hard to follow."""
    import keras

    rolled = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN) and not layer.unroll]
    for layer in rolled:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in rolled:
            layer.unroll = False


def _with_first_tensor(name: str, output: object, watch: Watch) -> object:
    """Return `output`, a tensor or a structure of tensors, with its first tensor watched."""
    import keras
    import tensorflow as tf

    parts = keras.tree.flatten(output)
    index = next((i for i, part in enumerate(parts) if tf.is_tensor(part)), None)
    if index is None:
        raise InputError(f"layer {name!r} returns {type(output).__name__} without a tensor; name another layer")
    if not parts[index].dtype.is_floating:
        raise InputError(
            f"layer {name!r} returns {parts[index].dtype.name}; units are floating-point numbers. Name another layer"
        )
    parts[index] = watch(name, parts[index])
    return keras.tree.pack_sequence_as(output, parts)


def call_model(model: keras.Model, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Call a model for inference with one tensor per input, by name, and return its own outputs by name.

    Raises
    ------
    InputError
        If the model's inputs have other names, the call fails, or it returns no tensor.
    """
    args, kwargs = _arranged(model, tensors)
    try:
        output = model(*args, **kwargs, training=False)
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{model.name} fails on inputs of the shapes {[tuple(t.shape) for t in tensors.values()]}: {reason}. Check "
            "the layout, frames and size of its inputs"
        ) from error
    return _named_outputs(model, output)


def _arranged(model: keras.Model, tensors: Mapping[str, Tensor]) -> tuple[list[Any], dict[str, Tensor]]:
    """Return the arguments of the model's call: a single input by its place, several inputs by their names."""
    import keras

    if len(tensors) == 1:
        return [next(iter(tensors.values()))], {}
    symbolic = getattr(model, "inputs", None)
    if symbolic:
        names = [tensor.name for tensor in symbolic]
        if sorted(names) != sorted(tensors):
            raise InputError(
                f"the inputs of {model.name} are {names}, described are {list(tensors)}; pass one ModelInput of its "
                "name for every input"
            )
        return [keras.tree.pack_sequence_as(model.input, [tensors[name] for name in names])], {}
    parameters = [name for name in inspect.signature(model.call).parameters if name not in ("training", "mask")]
    if set(tensors) <= set(parameters):
        return [], dict(tensors)
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    if any(isinstance(shape, dict) for shape in shapes.values()):
        return [dict(tensors)], {}
    return [list(tensors.values())] if len(parameters) == 1 else list(tensors.values()), {}


def _named_outputs(model: keras.Model, output: object) -> dict[str, Tensor]:
    """Return the tensors of a model's output by the names that Keras uses."""
    import keras
    import tensorflow as tf

    parts = keras.tree.flatten(output)
    names = list(getattr(model, "output_names", ()))
    if isinstance(output, dict) and len(output) == len(parts):
        names = [str(key) for key in sorted(output)]
    elif len(set(names)) != len(parts):
        names = ["output"] if len(parts) == 1 else [f"output_{index}" for index in range(len(parts))]
    tensors = {name: part for name, part in zip(names, parts, strict=True) if tf.is_tensor(part)}
    if not tensors:
        raise InputError(
            f"{model.name} returns {type(output).__name__} without a tensor; change it so that it returns tensors"
        )
    return tensors


def _weights_sha256(model: keras.Model) -> str:
    """Return the SHA-256 of a model's weights, their types and shapes, in Keras' order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        value = np.asarray(weight.value)
        digest.update(f"{weight.name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
