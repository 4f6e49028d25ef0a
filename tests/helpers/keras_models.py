"""Small Keras models whose layers the tests export, probe and change; TensorFlow is loaded when one is made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.probes.inputs import ModelInput
from tests.helpers.exports import made_once

FRAMES, SIZE = 4, 16
CLIP = (FRAMES, SIZE, SIZE, 3)

Arrays = dict[str, NDArray[np.float32]]


def video_input(layout: str = "NTHWC", name: str = "video", frames: int = FRAMES) -> ModelInput:
    """What the models of this file read."""
    return ModelInput(name, frames=frames, stride=1, size=(SIZE, SIZE), layout=layout)


def resnet() -> Any:
    """Convolutions without bias before BatchNorm, a residual block, pooling, Dropout, a model within the model."""
    import keras
    from keras import layers

    video = keras.Input(CLIP, name="video")
    x = layers.Conv3D(6, (3, 5, 5), strides=(1, 2, 2), padding="same", use_bias=False, name="stem")(video)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    y = layers.Conv3D(6, 3, padding="same", use_bias=False, name="conv1")(x)
    y = layers.BatchNormalization(name="bn1")(y)
    y = layers.LeakyReLU(name="act1")(y)
    y = layers.Conv3D(6, 3, padding="same", groups=2, name="grouped")(y)
    x = layers.Add(name="sum")([x, y])
    x = layers.Activation("gelu", name="gelu")(x)
    x = layers.MaxPooling3D((1, 2, 2), name="pool")(x)
    x = layers.SpatialDropout3D(0.5, name="drop")(x)
    inside = [layers.Conv3D(8, (1, 3, 3), activation="relu", name="conv"), layers.BatchNormalization(name="bn")]
    x = keras.Sequential([keras.Input((FRAMES, SIZE // 4, SIZE // 4, 6)), *inside], name="stage")(x)
    x = layers.GlobalAveragePooling3D(name="average")(x)
    return keras.Model(video, layers.Dense(5, name="head")(x), name="resnet")


def channels_first() -> Any:
    """The same kind of network on `(N, C, T, H, W)`."""
    import keras
    from keras import layers

    first = {"data_format": "channels_first"}
    video = keras.Input((3, FRAMES, SIZE, SIZE), name="video")
    x = layers.Conv3D(6, 3, strides=(1, 2, 2), padding="same", name="stem", **first)(video)
    x = layers.BatchNormalization(axis=1, name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.AveragePooling3D((1, 2, 2), name="pool", **first)(x)
    x = layers.Conv3D(8, 1, name="deep", **first)(x)
    x = layers.GlobalAveragePooling3D(name="average", **first)(x)
    return keras.Model(video, layers.Dense(5, name="head")(x), name="first")


def transformer(width: int = 16, depth: int = 2) -> Any:
    """Tubes to tokens, blocks of self-attention, and a position code that is a constant of the model's."""
    import keras
    from keras import layers

    video = keras.Input(CLIP, name="video")
    x = layers.Conv3D(width, (2, 8, 8), strides=(2, 8, 8), name="embed")(video)
    tokens = (FRAMES // 2) * (SIZE // 8) ** 2
    x = layers.Reshape((tokens, width), name="tokens")(x)
    x = layers.Add(name="placed")([x, np.random.default_rng(0).normal(size=(1, tokens, width)).astype(np.float32)])
    for index in range(depth):
        block = f"block{index}"
        y = layers.LayerNormalization(name=f"{block}_norm1")(x)
        y = layers.MultiHeadAttention(2, width // 2, name=f"{block}_attention")(y, y)
        x = layers.Add(name=f"{block}_mixed")([x, y])
        y = layers.LayerNormalization(name=f"{block}_norm2")(x)
        y = layers.Dense(2 * width, activation="gelu", name=f"{block}_wide")(y)
        y = layers.Dense(width, name=f"{block}_narrow")(y)
        x = layers.Add(name=block)([x, y])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="average")(x)
    return keras.Model(video, layers.Dense(5, name="head")(x), name="transformer")


def framewise() -> Any:
    """Layers applied to every frame, time folded into the batch, then a recurrent layer over the frames."""
    import keras
    from keras import layers

    video = keras.Input(CLIP, name="video")
    x = layers.TimeDistributed(layers.Conv2D(6, 3, strides=2, padding="same", name="conv"), name="per_frame")(video)
    x = layers.TimeDistributed(layers.BatchNormalization(name="bn"), name="per_frame_bn")(x)
    x = keras.ops.reshape(x, (-1, SIZE // 2, SIZE // 2, 6))
    x = layers.SeparableConv2D(8, 3, padding="same", name="separable")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.ReLU(6.0, name="relu6")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = keras.ops.reshape(x, (-1, FRAMES, 8))
    x = layers.Conv1D(8, 3, padding="same", name="over_time")(x)
    x = layers.LSTM(7, name="lstm")(x)
    return keras.Model(video, layers.Dense(5, name="head")(x), name="framewise")


def recurrent() -> Any:
    """Recurrent convolutions over the frames."""
    import keras
    from keras import layers

    video = keras.Input(CLIP, name="video")
    x = layers.ConvLSTM2D(6, 3, strides=2, padding="same", return_sequences=True, name="convlstm")(video)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ConvLSTM2D(5, 3, padding="same", name="last")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(video, layers.Dense(5, name="head")(x), name="recurrent")


def two_inputs() -> Any:
    """Two pathways with their own numbers of frames, and two outputs by name."""
    import keras
    from keras import layers

    slow = keras.Input((2, SIZE, SIZE, 3), name="slow")
    fast = keras.Input(CLIP, name="fast")
    x = layers.Conv3D(6, 3, padding="same", activation="relu", name="slow_conv")(slow)
    y = layers.Conv3D(4, 3, padding="same", activation="relu", name="fast_conv")(fast)
    x = layers.GlobalAveragePooling3D(name="slow_average")(x)
    y = layers.GlobalAveragePooling3D(name="fast_average")(y)
    x = layers.Concatenate(name="fused")([x, y])
    outputs = {"verb": layers.Dense(5, name="verb")(x), "noun": layers.Dense(3, name="noun")(x)}
    return keras.Model([slow, fast], outputs, name="two_inputs")


def subclassed() -> Any:
    """A model that is code, not a graph; its first call builds it."""
    import keras
    from keras import layers

    class Block(layers.Layer):
        def __init__(self, width: int, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.convs = [layers.Conv3D(width, 3, padding="same", name=f"conv{i}") for i in range(2)]
            self.norm = layers.BatchNormalization(name="norm")

        def call(self, x: Any, training: bool = False) -> Any:
            y = self.convs[1](keras.ops.relu(self.norm(self.convs[0](x), training=training)))
            return {"sum": keras.ops.relu(x + y), "branch": y}

    class Network(keras.Model):
        def __init__(self, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.stem = layers.Conv3D(6, 3, strides=(1, 2, 2), padding="same", name="stem")
            self.block = Block(6, name="block")
            self.drop = layers.Dropout(0.5, name="drop")
            self.pool = layers.GlobalAveragePooling3D(name="average")
            self.head = layers.Dense(5, name="head")
            self.unused = layers.Dense(5, name="unused")
            self.unused.build((None, 6))

        def call(self, video: Any, training: bool = False) -> Any:
            # Keras sorts a dict, so the first tensor of the block is its branch.
            found = self.block(self.stem(video), training=training)
            return self.head(self.drop(self.pool(found["sum"] + found["branch"]), training=training))

    return Network(name="subclassed")


@dataclass(frozen=True)
class Case:
    """A model, how it is fed, and layers of every kind that it has."""

    make: Callable[[], Any]
    inputs: tuple[ModelInput, ...]
    layers: tuple[str, ...]


BLOCKS = tuple(
    f"block{i}{part}" for i in range(2) for part in ("_norm1", "_attention", "_mixed", "_norm2", "_wide", "_narrow", "")
)
CASES = {
    "resnet": Case(
        resnet,
        (video_input(),),
        (
            *("stem", "stem_bn", "stem_relu", "conv1", "bn1", "act1", "grouped", "sum", "gelu", "pool", "drop"),
            *("stage/conv", "stage/bn", "stage", "average", "head"),
        ),
    ),
    "first": Case(channels_first, (video_input("NCTHW"),), ("stem", "bn", "relu", "pool", "deep", "average", "head")),
    "transformer": Case(
        transformer,
        (video_input(),),
        ("embed", "tokens", "placed", *BLOCKS, "block0_attention/attention_output", "norm", "average", "head"),
    ),
    "framewise": Case(
        framewise,
        (video_input(),),
        (
            *("per_frame", "per_frame_bn", "separable", "depthwise", "relu6", "average"),
            *("over_time", "lstm", "head"),
        ),
    ),
    "recurrent": Case(recurrent, (video_input(),), ("convlstm", "bn", "last", "average", "head")),
    "two_inputs": Case(
        two_inputs,
        (video_input(name="fast"), video_input(name="slow", frames=2)),
        ("slow_conv", "fast_conv", "slow_average", "fast_average", "fused", "verb", "noun"),
    ),
    "subclassed": Case(
        subclassed,
        (video_input(),),
        ("stem", "block", "block/conv0", "block/norm", "block/conv1", "drop", "average", "head"),
    ),
}


@functools.cache
def made(case: str) -> Any:
    """The model with fixed random weights, those of its BatchNorms and their statistics included."""
    import keras

    keras.utils.set_random_seed(0)
    model = CASES[case].make()
    called(model, case, {item.name: np.zeros((1, *_shape(item)), np.float32) for item in CASES[case].inputs})
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "bias", "moving_mean"):
            weight.assign(rng.normal(size=weight.shape) / 2)
    return model


def called(model: Any, case: str, arrays: Arrays) -> dict[str, NDArray[np.float32]]:
    """The model's outputs by name."""
    own = model([arrays["slow"], arrays["fast"]] if case == "two_inputs" else arrays["video"], training=False)
    name = "output" if case == "subclassed" else "head"
    return {key: np.asarray(value) for key, value in (own if isinstance(own, dict) else {name: own}).items()}


def found_in(model: Any, path: str) -> Any:
    """The layer at a path."""
    for name in path.split("/"):
        model = next(layer for layer in model._layers if layer.name == name)
    return model


@contextmanager
def changing(change: Callable[[Any, Any], Any]) -> Iterator[None]:
    """While the block runs, every layer returns `change(layer, output)`."""
    import keras

    plain = keras.layers.Layer.__call__
    keras.layers.Layer.__call__ = lambda self, *args, **kwargs: change(self, plain(self, *args, **kwargs))
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = plain


def run(case: str, arrays: Arrays, masks: Mapping[str, NDArray[np.float32]] | None = None) -> tuple[Arrays, Arrays]:
    """The model's own outputs and what its layers return; a mask of the tensor's rank multiplies what one returns."""
    model = made(case)
    names = {id(found_in(model, path)): path for path in CASES[case].layers}
    taps: Arrays = {}

    def change(layer: Any, output: Any) -> Any:
        path = names.get(id(layer))
        if path is None:
            return output
        first = output["branch"] if isinstance(output, dict) else output
        taps[path] = np.asarray(first)
        masked = first * masks[path] if masks and path in masks else first
        return {**output, "branch": masked} if isinstance(output, dict) else masked

    with changing(change):
        return called(model, case, arrays), taps


def _shape(item: ModelInput) -> tuple[int, ...]:
    """The shape of one clip as an input reads it."""
    sizes = {"T": item.frames, "H": item.size[0], "W": item.size[1], "C": 3}
    return tuple(sizes[axis] for axis in item.layout[1:])


def _export(case: str, path: Path) -> Path:
    from sdmetrics.exporters.tensorflow import export

    chosen = CASES[case]
    return export(made(case), chosen.inputs, chosen.layers, path)


exported, probed = made_once(_export)
