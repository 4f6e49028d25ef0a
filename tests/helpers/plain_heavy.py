"""Small networks in Keras, TensorFlow and Flax, and the files that their frameworks' own exporters make of them."""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.plain_files import clips
from tests.helpers.plain_networks import FRAMES, SIZE, Truth, noting, seen, truth

SHAPE = (FRAMES, SIZE, SIZE, 3)


def keras_convolutions() -> Any:
    """A residual network with an unfused norm, a gate, a pooling and a transposed convolution."""
    import keras
    from keras import layers

    video = keras.Input(SHAPE, name="video")
    x = seen(layers.Conv3D(6, 3, strides=(1, 2, 2), padding="same", use_bias=False)(video), "NTHWC")
    x = seen(layers.ReLU()(seen(layers.BatchNormalization(beta_initializer="ones")(x), "NTHWC")), "NTHWC")
    inner = seen(layers.Conv3D(6, 3, padding="same")(x), "NTHWC")
    inner = seen(layers.Activation("silu")(inner), "NTHWC")
    x = seen(layers.Add()([x, inner]), "NTHWC")
    gate = seen(layers.Dense(6)(layers.GlobalAveragePooling3D()(x)), "NC")
    gate = seen(layers.Activation("sigmoid")(gate), "NC")
    x = seen(layers.Multiply()([x, layers.Reshape((1, 1, 1, 6))(gate)]), "NTHWC")
    x = seen(layers.MaxPooling3D((1, 2, 2))(x), "NTHWC")
    x = seen(layers.LayerNormalization(gamma_initializer="random_uniform")(x), "NTHWC")
    x = seen(layers.ReLU()(seen(layers.Dense(10)(x), "NTHWC")), "NTHWC")
    x = seen(layers.Conv3DTranspose(7, (1, 2, 2), strides=(1, 2, 2))(x), "NTHWC")
    x = seen(layers.Activation("elu")(seen(layers.DepthwiseConv2D(3)(layers.Reshape((8, -1, 7))(x)), "NTHC")), "NTHC")
    return keras.Model(video, seen(layers.Dense(5)(layers.GlobalAveragePooling2D()(x)), "NC"))


def keras_tokens() -> Any:
    """A transformer on tubes."""
    import keras
    from keras import layers

    video = keras.Input(SHAPE, name="video")
    x = seen(layers.Conv3D(12, (2, 4, 4), strides=(2, 4, 4))(video), "NTHWC")
    x = layers.Reshape((-1, 12))(x)
    y = seen(layers.LayerNormalization()(x), "NLC")
    attention = layers.MultiHeadAttention(2, 6)
    x = seen(layers.Add()([x, seen(attention(y, y), "NLC")]), "NLC")
    for projected in (attention.query_dense, attention.key_dense, attention.value_dense):
        seen(layers.Reshape((-1, 12))(projected(y)), "NLC")
    y = seen(layers.Dense(20)(seen(layers.LayerNormalization()(x), "NLC")), "NLC")
    x = seen(layers.Add()([x, seen(layers.Dense(12)(seen(layers.Activation("tanh")(y), "NLC")), "NLC")]), "NLC")
    return keras.Model(video, seen(layers.Dense(5)(layers.GlobalAveragePooling1D()(x)), "NC"))


def keras_frames() -> Any:
    """A 2-D network on frames folded into the batch."""
    import keras
    from keras import layers, ops

    video = keras.Input(SHAPE, name="video")
    x = ops.reshape(video, (-1, SIZE, SIZE, 3))
    x = seen(layers.ReLU()(seen(layers.Conv2D(6, 3, strides=2)(x), "FHWC")), "FHWC")
    x = seen(layers.Activation("hard_silu")(seen(layers.Conv2D(7, 3)(x), "FHWC")), "FHWC")
    x = ops.mean(ops.reshape(layers.GlobalAveragePooling2D()(x), (-1, FRAMES, 7)), 1)
    return keras.Model(video, seen(layers.Dense(5)(x), "NC"))


KERAS = {"convolutions": keras_convolutions, "tokens": keras_tokens, "frames": keras_frames}


@functools.cache
def keras_file(name: str) -> tuple[bytes, list[Truth]]:
    """What `Model.export` writes, and the truth."""
    import keras

    keras.utils.set_random_seed(0)
    with noting() as notes:
        model = KERAS[name]()
    model(clips("NTHWC"))
    values = keras.Model(model.input, [tensor for tensor, _ in notes])(clips("NTHWC"))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        model.export(str(path), format="onnx", verbose=False)
        data = path.read_bytes()
    return data, truth([(value, axes) for value, (_, axes) in zip(values, notes, strict=True)])


def tensorflow_network() -> Any:
    """A function of plain TensorFlow: convolutions with frozen norms, then tokens with an Einsum."""
    import tensorflow as tf

    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        return tf.Variable(rng.normal(size=shape, scale=0.3).astype(np.float32))

    stem, deep, up = weight(3, 3, 3, 3, 6), weight(1, 3, 3, 6, 8), weight(1, 2, 2, 7, 8)
    mean, scale, shift = weight(8), weight(8), weight(8)
    dense, bias, heads, out = weight(7, 12), weight(12), weight(12, 2, 5), weight(2, 5, 12)

    def call(video: Any) -> Any:
        x = seen(tf.nn.bias_add(tf.nn.conv3d(video, stem, [1, 1, 2, 2, 1], "SAME"), shift[:6]), "NTHWC")
        x = seen(tf.nn.conv3d(seen(tf.nn.relu6(x), "NTHWC"), deep, [1] * 5, "SAME"), "NTHWC")
        x = seen(tf.nn.batch_normalization(x, mean, tf.abs(scale) + 1, shift, scale, 1e-3), "NTHWC")
        shape = tf.stack([tf.shape(x)[0], 4, 16, 16, 7])
        x = seen(tf.nn.conv3d_transpose(seen(tf.nn.leaky_relu(x), "NTHWC"), up, shape, [1, 1, 2, 2, 1]), "NTHWC")
        x = seen(tf.nn.max_pool3d(x, [1, 1, 4, 4, 1], [1, 1, 4, 4, 1], "VALID"), "NTHWC")
        x = tf.reshape(x, [-1, 64, 7])
        x = seen(tf.nn.swish(seen(tf.matmul(x, dense) + bias, "NLC")), "NLC")
        query = tf.einsum("nlc,chd->nlhd", x, heads)
        seen(tf.reshape(query, [-1, 64, 10]), "NLC")
        mixed = tf.einsum("nhlm,nmhd->nlhd", tf.nn.softmax(tf.einsum("nlhd,nmhd->nhlm", query, query)), query)
        x = seen(x + seen(tf.einsum("nlhd,hdc->nlc", mixed, out), "NLC"), "NLC")
        return tf.reduce_mean(x, 1)

    return call


@functools.cache
def tensorflow_file(opset: int) -> tuple[bytes, list[Truth]]:
    """What tf2onnx makes of a `tf.function`, and the truth."""
    import tensorflow as tf
    import tf2onnx

    network = tensorflow_network()
    with noting() as notes:
        network(tf.constant(clips("NTHWC")))
    signature = [tf.TensorSpec([None, *SHAPE], tf.float32, name="video")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, _ = tf2onnx.convert.from_function(tf.function(network), signature, opset=opset)
    return model.SerializeToString(), truth(notes)


def flax_convolutions() -> Any:
    """A residual network in nnx."""
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.stem = nnx.Conv(3, 6, (3, 3, 3), (1, 2, 2), rngs=rngs)
            self.norm = nnx.BatchNorm(6, use_running_average=True, rngs=rngs)
            self.deep = nnx.Conv(6, 6, (3, 3, 3), rngs=rngs)
            self.layer_norm = nnx.LayerNorm(6, rngs=rngs)
            self.dense, self.fc = nnx.Linear(6, 10, rngs=rngs), nnx.Linear(10, 5, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = seen(nnx.relu(seen(self.norm(seen(self.stem(x), "NTHWC")), "NTHWC")), "NTHWC")
            x = seen(x + seen(nnx.silu(seen(self.deep(x), "NTHWC")), "NTHWC"), "NTHWC")
            x = seen(self.dense(seen(self.layer_norm(x), "NTHWC")), "NTHWC")
            x = seen(nnx.gelu(x), "NTHWC")
            return seen(self.fc(x.mean((1, 2, 3))), "NC")

    network = Network(nnx.Rngs(0))
    network.norm.mean[...] = network.norm.var[...] = np.arange(1, 7, dtype=np.float32)
    return network


def flax_tokens() -> Any:
    """A transformer in nnx, on frames folded into the batch."""
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.embed = nnx.Conv(3, 12, (4, 4), (4, 4), rngs=rngs)
            self.norms = nnx.List([nnx.LayerNorm(12, rngs=rngs) for _ in range(2)])
            self.attention = nnx.MultiHeadAttention(2, 12, decode=False, rngs=rngs)
            self.wide, self.narrow = nnx.Linear(12, 20, rngs=rngs), nnx.Linear(20, 12, rngs=rngs)
            self.fc = nnx.Linear(12, 5, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            n = x.shape[0]
            x = seen(self.embed(x.reshape(n * FRAMES, SIZE, SIZE, 3)), "FHWC").reshape(n * FRAMES, 16, 12)
            inner = seen(self.norms[0](x), "FLC")
            for part in (self.attention.query, self.attention.key, self.attention.value):
                seen(part(inner).reshape(n * FRAMES, 16, 12), "FLC")
            x = seen(x + seen(self.attention(inner), "FLC"), "FLC")
            inner = seen(nnx.gelu(seen(self.wide(seen(self.norms[1](x), "FLC")), "FLC"), approximate=False), "FLC")
            x = seen(x + seen(self.narrow(inner), "FLC"), "FLC")
            return seen(self.fc(x.reshape(n, FRAMES * 16, 12).mean(1)), "NC")

    return Network(nnx.Rngs(0))


FLAX = {"convolutions": flax_convolutions, "tokens": flax_tokens}


@functools.cache
def flax_file(name: str) -> tuple[bytes, list[Truth]]:
    """What jax2onnx makes of an nnx module, and the truth."""
    import jax2onnx

    network = FLAX[name]()
    with noting() as notes:
        network(clips("NTHWC"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = jax2onnx.to_onnx(network, inputs=[("batch", *SHAPE)], input_names=["video"])
    return model.SerializeToString(), truth(notes)
