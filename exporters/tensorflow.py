"""Export a Keras model or a TensorFlow function to an ONNX model whose layers are named outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import require
from sdmetrics.exporters._assembly.finish import COMPARED_CLIPS, finish_export
from sdmetrics.exporters._tensorflow.convert import forward, to_onnx
from sdmetrics.exporters._tensorflow.functions import traceable_function
from sdmetrics.exporters._tensorflow.keras_layers import traceable_keras
from sdmetrics.probes.feeds import check_sources, prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def export(
    model: keras.Model | tf.Module,
    inputs: Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int],
    path: Path,
) -> Path:
    """Export a Keras model or TensorFlow function to an ONNX model that declares its layers, for `build_probe`.

    The ONNX model has a dynamic batch, the model's own outputs and one output `layer/<name>` per layer: exactly the
    tensor that the layer returns (the first if there are several). A Keras model is called with `training=False`, which
    builds it if it has not been called yet.

    Parameters
    ----------
    model
        A Keras model on the backend TensorFlow; a SavedModel from `tf.saved_model.load` with the signature
        `serving_default`; or a tf.Module or tf.function, which is called with one tensor per model input, in the order
        of `inputs`.
    inputs
        How the model is fed; Keras's usual layout is `NTHWC`. Several inputs are matched by their names in the model.
    layers
        Names of Keras layers; nested layers are written `"outer/inner"`. For a SavedModel or function, names of
        operations: the SavedModel of a Keras model has for its layer `stem` operations like `net_1/stem_1/Relu`. A
        mapping also specifies their channel axes, for layers in which they are not certain.
    path
        Where the ONNX file is written.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        See `sdmetrics.exporters.torch.export`; also if a layer runs in a loop.

    Examples
    --------
    An example that runs::

        import keras

        conv = keras.layers.Conv3D(4, 3, name="conv")
        model = keras.Sequential([conv, keras.layers.GlobalAveragePooling3D()])
        video = ModelInput("video", frames=8, size=(32, 32), layout="NTHWC")
        export(model, [video], ["conv"], Path("model.onnx"))
    """
    require("tensorflow", extra="tensorflow")
    keras = require("keras", extra="tensorflow")
    check_sources(inputs)
    example = prepare(random_feeds(inputs, COMPARED_CLIPS), inputs)
    prepared = traceable_keras if isinstance(model, keras.Model) else traceable_function
    traceable = prepared(model, layers, example)
    return finish_export(
        to_onnx(traceable, example),
        Path(path),
        inputs=inputs,
        layers={name: name for name in traceable.layers},
        axes=layers if isinstance(layers, Mapping) else None,
        forward=lambda arrays: forward(traceable, arrays),
        framework=traceable.framework,
        sha256=traceable.sha256,
    )
