"""A Keras model or a TensorFlow function to an ONNX model whose layers are named outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import require
from sdmetrics.exporters._assembly.finish import CLIPS, declare
from sdmetrics.exporters._tensorflow.convert import forward, to_onnx
from sdmetrics.exporters._tensorflow.functions import function_source
from sdmetrics.exporters._tensorflow.keras_layers import keras_source
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
    """Export a Keras model or TensorFlow function to an ONNX model that knows its layers, for `build_probe`.

    The model has a dynamic batch, the model's own outputs and one output `layer/<name>` per layer: the very tensor
    that the layer returns (of several, the first). A Keras model is called with `training=False`; one that has not
    been called yet is built by it.

    Parameters
    ----------
    model
        A Keras model on the backend TensorFlow; or a SavedModel that `tf.saved_model.load` gave, by its signature
        `serving_default`; or a tf.Module or tf.function, called with one tensor per model input, in their order.
    inputs
        How it is fed; Keras's usual layout is `NTHWC`. Several inputs go by the names that the model has for them.
    layers
        Names of Keras layers, a nested one as `"outer/inner"`. Of a SavedModel or function, names of its operations:
        a SavedModel of a Keras model has, for its layer `stem`, operations such as `net_1/stem_1/Relu`. A mapping
        gives their channel axes too, for the layers in which they are not certain.
    path
        Where the ONNX file goes.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If a layer does not exist, runs more than once, never or in a loop, or if the ONNX model and the model differ
        by more than 1e-3 of a tensor's scale for one or for three clips.

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
    example = prepare(random_feeds(inputs, CLIPS), inputs)
    make = keras_source if isinstance(model, keras.Model) else function_source
    source = make(model, layers, example)
    return declare(
        to_onnx(source, example),
        Path(path),
        inputs=inputs,
        layers={name: name for name in source.layers},
        axes=layers if isinstance(layers, Mapping) else None,
        forward=lambda arrays: forward(source, arrays),
        framework=source.framework,
        sha256=source.sha256,
    )
