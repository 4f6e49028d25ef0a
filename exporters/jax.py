"""A Flax model, nnx or linen, to an ONNX model whose layers are named outputs."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, one_line, require, suggest
from sdmetrics.exporters._assembly.finish import CLIPS, LAYER, declare
from sdmetrics.exporters._assembly.gates import GATE, close_gates
from sdmetrics.exporters._flax.modules import FlaxModel, flax_model, named_arrays, running
from sdmetrics.exporters._flax.pooling import any_pooling
from sdmetrics.probes.feeds import check_sources, prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.onnx_file import LIMIT

if TYPE_CHECKING:
    import jax
    from flax import linen, nnx
    from onnx import ModelProto

OPSET = 20

Arrays = Mapping[str, NDArray[Any]]


def export(
    model: nnx.Module | linen.Module,
    inputs: Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int],
    path: Path,
) -> Path:
    """Export a Flax model to an ONNX model that knows its layers; `build_probe` makes a probe of it.

    The model has a dynamic batch, the module's own outputs and one output `layer/<name>` per layer: the very
    array that the module returns (of several, the first). The module is exported in evaluation mode and left
    as it was: dropout is off, BatchNorm uses its running averages, and where its `__call__` takes `train`,
    `training`, `is_training` or `deterministic`, it is told so.

    Parameters
    ----------
    model
        An nnx module, or a linen module with its variables, `module.bind(variables)`; it is called with one array
        per model input, in their order.
    inputs
        How it is fed; Flax's own convolutions want the layout `NTHWC`.
    layers
        Names of modules. Of nnx the path, `"blocks.0.conv"`; of linen the path by which `capture_intermediates`
        knows it, `"Block_0/Conv_0"`. A mapping gives their channel axes too, for the layers in which they are not
        certain.
    path
        Where the ONNX file goes.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If a layer does not exist, runs more than once, never or within a transformation, or if the ONNX model and
        the module differ by more than 1e-3 of a tensor's scale for one or for three clips.

    Examples
    --------
    An example that runs::

        from flax import nnx

        rngs = nnx.Rngs(0)
        model = nnx.Sequential(nnx.Conv(3, 4, (3, 3, 3), rngs=rngs), nnx.relu)
        video = ModelInput("video", frames=8, size=(112, 112), layout="NTHWC")
        export(model, [video], ["layers.0"], Path("model.onnx"))
    """
    jax, flax = require("jax", extra="jax"), require("flax", extra="jax")
    check_sources(inputs)
    example = prepare(random_feeds(inputs, CLIPS), inputs)
    evaluated = flax_model(model, [jax.numpy.asarray(array) for array in example.values()])
    names = _layer_names(model, evaluated, layers)

    def forward(arrays: Arrays) -> Arrays:
        with running(model), jax.default_matmul_precision("highest"):
            found = _run(evaluated, names, [jax.numpy.asarray(array) for array in arrays.values()])
        return {name: np.asarray(array) for name, array in found.items()}

    found = forward(example)
    _check_precision(model, found)
    converted = _to_onnx(model, evaluated, names, example, list(found))
    close_gates(converted, names)
    # What jax2onnx says of the shapes within is wrong wherever it moved a Transpose; ONNX infers them.
    del converted.graph.value_info[:]
    return declare(
        converted,
        Path(path),
        inputs=inputs,
        layers={name: name for name in names},
        axes=layers if isinstance(layers, Mapping) else None,
        forward=forward,
        framework=f"flax {flax.__version__} (jax {jax.__version__})",
        sha256=_weights_sha256(evaluated),
    )


def _layer_names(
    model: nnx.Module | linen.Module, evaluated: FlaxModel, layers: Sequence[str] | Mapping[str, int]
) -> list[str]:
    """Return the names of the modules that are layers."""
    if isinstance(layers, str):
        raise InputError(f"layers is {layers!r}; allowed: a list of module names. {suggest(layers, evaluated.names)}")
    for name in layers:
        if name not in evaluated.names:
            raise InputError(f"{type(model).__name__} has no module {name!r}. {suggest(name, evaluated.names)}")
    if not layers or len(set(layers)) < len(layers):
        raise InputError(
            f"layers are {list(layers)}; name at least one module, each once. {suggest('', evaluated.names)}"
        )
    return list(layers)


def _run(
    model: FlaxModel, layers: Sequence[str], arrays: Sequence[jax.Array], gates: Mapping[str, jax.Array] | None = None
) -> dict[str, jax.Array]:
    """Return the model's own outputs and its layers' arrays; gates multiply what the layers' consumers read."""
    taps: dict[str, jax.Array] = {}

    def tap(name: str, array: jax.Array) -> jax.Array:
        taps[LAYER + name] = array
        return array if gates is None else array * gates[name]

    own = named_arrays(model.run(arrays, layers, tap))
    if not own:
        raise InputError("the model returns nothing in which there is an array; wrap it so that it does")
    return own | {LAYER + name: taps[LAYER + name] for name in layers}


def _check_precision(model: nnx.Module | linen.Module, found: Arrays) -> None:
    """Raise an `InputError` if the model computes in half precision, which jax2onnx turns into invalid files."""
    for name, array in found.items():
        if array.dtype.itemsize == 2:
            raise InputError(
                f"{name} of {type(model).__name__} is of type {array.dtype}; jax2onnx exports float32 alone. "
                "Build the model with dtype=float32, its weights may stay as they are"
            )


def _to_onnx(
    model: nnx.Module | linen.Module,
    evaluated: FlaxModel,
    layers: Sequence[str],
    arrays: Arrays,
    outputs: Sequence[str],
) -> ModelProto:
    """Run jax2onnx on the model with every layer's consumers behind a gate."""
    weights = sum(value.nbytes for value in evaluated.weights().values())
    if weights > LIMIT:
        raise InputError(
            f"the model holds {weights / 2**30:.1f} GiB of weights; one ONNX file holds less than 2 GiB. Export it "
            "with half-precision weights"
        )

    def gated(*fed: jax.Array) -> tuple[jax.Array, ...]:
        gates = dict(zip(layers, fed[len(arrays) :], strict=True))
        with any_pooling():
            return tuple(_run(evaluated, layers, fed[: len(arrays)], gates).values())

    jax2onnx = require("jax2onnx", extra="jax")
    try:
        with _quiet():
            converted: ModelProto = jax2onnx.to_onnx(
                gated,
                inputs=[*(("batch", *array.shape[1:]) for array in arrays.values()), *(() for _ in layers)],
                opset=OPSET,
                input_names=[*arrays, *(GATE + name for name in layers)],
                output_names=outputs,
            )
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"jax2onnx {version('jax2onnx')} cannot export {type(model).__name__} with a dynamic batch: "
            f"{type(error).__name__}: {one_line(error)}. Try jax2onnx.to_onnx on the model for the details"
        ) from error
    return converted


def _weights_sha256(model: FlaxModel) -> str:
    """Return the SHA-256 of a model's weights, their names, types and shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(model.weights().items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep jax2onnx from logging, from setting up the root logger on its own, and from warning."""
    root, own, silent = logging.getLogger(), logging.getLogger("jax2onnx"), logging.NullHandler()
    level = own.level
    root.addHandler(silent)
    own.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        own.setLevel(level)
        root.removeHandler(silent)
