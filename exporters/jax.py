"""Export a Flax model, nnx or linen, to an ONNX model whose layers are named outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.exporters._assembly.finish import COMPARED_CLIPS, LAYER, finish_export
from sdmetrics.exporters._assembly.gates import GATE, close_gates
from sdmetrics.exporters._flax.modules import FlaxModel, flax_model, named_arrays, running
from sdmetrics.exporters._flax.pooling import any_pooling
from sdmetrics.probes.feeds import Arrays, check_sources, prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.layer_names import check_layer_names
from sdmetrics.probes.onnx_file import check_size
from sdmetrics.probes.quiet import quiet

if TYPE_CHECKING:
    import jax
    from flax import linen, nnx
    from onnx import ModelProto

OPSET = 20


def export(
    model: nnx.Module | linen.Module,
    inputs: Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int],
    path: Path,
) -> Path:
    """Export a Flax model to an ONNX model that declares its layers, for `build_probe`.

    The ONNX model has a dynamic batch, the module's own outputs and one output `layer/<name>` per layer: exactly the
    array that the layer returns (the first if there are several). The module is exported in evaluation mode and left
    unchanged: dropout is off, BatchNorm uses its running averages, and `train`, `training`, `is_training` or
    `deterministic` are set if its `__call__` takes them.

    Parameters
    ----------
    model
        An nnx module, or a linen module with its variables, `module.bind(variables)`. It is called with one array
        per model input, in the order of `inputs`.
    inputs
        How the model is fed; Flax's own convolutions expect the layout `NTHWC`.
    layers
        Names of modules: for nnx their paths, e.g. `"blocks.0.conv"`, for linen their paths as in
        `capture_intermediates`, e.g. `"Block_0/Conv_0"`. A mapping also specifies their channel axes, for layers in
        which they are not certain.
    path
        Where the ONNX file is written.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        See `sdmetrics.exporters.torch.export`; also if a layer runs within a transformation of JAX.

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
    example = prepare(random_feeds(inputs, COMPARED_CLIPS), inputs)
    evaluated = flax_model(model, [jax.numpy.asarray(array) for array in example.values()])
    names = check_layer_names(layers, evaluated.names, type(model).__name__)

    def forward(arrays: Arrays) -> Arrays:
        with running(model), jax.default_matmul_precision("highest"):
            computed = _run(evaluated, names, [jax.numpy.asarray(array) for array in arrays.values()])
        return {name: np.asarray(array) for name, array in computed.items()}

    expected = forward(example)
    _check_precision(model, expected)
    converted = _to_onnx(model, evaluated, names, example, list(expected))
    close_gates(converted, names)
    # The inner shapes that jax2onnx writes are wrong wherever it moved a Transpose; ONNX infers them.
    del converted.graph.value_info[:]
    return finish_export(
        converted,
        Path(path),
        inputs=inputs,
        layers={name: name for name in names},
        axes=layers if isinstance(layers, Mapping) else None,
        forward=forward,
        framework=f"flax {flax.__version__} (jax {jax.__version__})",
        sha256=_weights_sha256(evaluated),
    )


def _run(
    model: FlaxModel, layers: Sequence[str], arrays: Sequence[jax.Array], gates: Mapping[str, jax.Array] | None = None
) -> dict[str, jax.Array]:
    """Return the model's own outputs and its layers' arrays. Gates multiply what the layers' consumers read."""
    taps: dict[str, jax.Array] = {}

    def tap(name: str, array: jax.Array) -> jax.Array:
        taps[LAYER + name] = array
        return array if gates is None else array * gates[name]

    own = named_arrays(model.run(arrays, layers, tap))
    if not own:
        raise InputError("the model returns no array; wrap it so that it returns arrays")
    return own | {LAYER + name: taps[LAYER + name] for name in layers}


def _check_precision(model: nnx.Module | linen.Module, outputs: Arrays) -> None:
    """Raise an `InputError` if the model computes in half precision, which jax2onnx turns into invalid files."""
    for name, array in outputs.items():
        if array.dtype.itemsize == 2:
            raise InputError(
                f"{name} of {type(model).__name__} is of type {array.dtype}; jax2onnx exports only float32. "
                "Build the model with dtype=float32; its weights may keep their type"
            )


def _to_onnx(
    model: nnx.Module | linen.Module,
    evaluated: FlaxModel,
    layers: Sequence[str],
    arrays: Arrays,
    outputs: Sequence[str],
) -> ModelProto:
    """Run jax2onnx on the model with every layer's consumers behind a gate."""
    check_size(sum(value.nbytes for value in evaluated.weights().values()), "the model")

    def gated(*fed: jax.Array) -> tuple[jax.Array, ...]:
        gates = dict(zip(layers, fed[len(arrays) :], strict=True))
        with any_pooling():
            return tuple(_run(evaluated, layers, fed[: len(arrays)], gates).values())

    jax2onnx = require("jax2onnx", extra="jax")
    try:
        with quiet("jax2onnx"):
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
