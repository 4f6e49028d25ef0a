"""Build one small video network with the same weights in PyTorch, Keras, Flax and a bare ONNX file, and analyze all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import require
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from sdmetrics.analysis.results import Results

FRAMES, SIZE, CLASSES = 8, 40, 16
LAYERS = ("stem", "stage1", "stage2", "head")
WIDTHS = {"stem": 12, "stage1": 12, "stage2": 24}
EPSILON = 1e-5
BARE = "bare ONNX file"

Weights = dict[str, NDArray[np.float32]]


def video(layout: str) -> ModelInput:
    """Return the description of the network's input."""
    return ModelInput("video", frames=FRAMES, size=(SIZE, SIZE), layout=layout)


def weights(seed: int = 4) -> Weights:
    """Draw the network's weights; kernels are `(T, H, W, in, out)`.

    The stem is a convolution over 3×4×4 with stride 1×2×2; a stage widens, if it has to, and adds a convolution over
    3×3×3 to what it reads. Each is followed by BatchNorm and ReLU, the first stage by pooling. So that there are units
    of every class, the stem sees drifting gratings, and what follows compares their directions.
    """
    rng = np.random.default_rng(seed)
    shapes = {
        "stage1": (3, 3, 3, WIDTHS["stage1"], WIDTHS["stage1"]),
        "widen": (1, 1, 1, WIDTHS["stage1"], WIDTHS["stage2"]),
        "stage2": (3, 3, 3, WIDTHS["stage2"], WIDTHS["stage2"]),
        "head": (WIDTHS["stage2"], CLASSES),
    }
    kernels = {"stem": _gratings(rng)}
    for name, shape in shapes.items():
        kernel = rng.normal(0, np.sqrt(8 / np.prod(shape[:-1])), shape)
        kernels[name] = kernel - kernel.mean(-2, keepdims=True)
    drawn = {f"{name}/kernel": kernel for name, kernel in kernels.items()}
    drawn |= {f"{name}/bias": rng.normal(0, 0.1, kernel.shape[-1]) for name, kernel in kernels.items()}
    for name, width in WIDTHS.items():
        drawn[f"{name}/scale"], drawn[f"{name}/var"] = rng.uniform(0.5, 1.5, (2, width))
        drawn[f"{name}/shift"], drawn[f"{name}/mean"] = rng.normal(0, 0.1, (2, width))
    return {name: value.astype(np.float32) for name, value in drawn.items()}


def _gratings(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return gratings of 8 pixels that drift by 3 pixels a frame, each in another direction, `(3, 4, 4, 3, out)`."""
    t, y, x = np.meshgrid(np.arange(3) - 1, np.arange(4) - 1.5, np.arange(4) - 1.5, indexing="ij")
    angle, phase = 2 * np.pi * np.arange(WIDTHS["stem"]) / WIDTHS["stem"], rng.uniform(0, 2 * np.pi, WIDTHS["stem"])
    along = x[..., None] * np.cos(angle) + y[..., None] * np.sin(angle) - 3 * t[..., None]
    waves = np.cos(2 * np.pi * along / 8 + phase)
    waves -= waves.mean((0, 1, 2))
    waves /= np.sqrt((waves**2).sum((0, 1, 2)))
    return np.asarray(waves[:, :, :, None, :].repeat(3, 3))


def torch_model(w: Weights) -> Any:
    """The network in PyTorch."""
    import torch
    from torch import nn

    def loaded(part: nn.Module, **values: NDArray[np.float32]) -> nn.Module:
        part.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in values.items()}, strict=False)
        return part

    def conv(name: str, **how: Any) -> nn.Module:
        kernel = w[f"{name}/kernel"].transpose(4, 3, 0, 1, 2)
        made = nn.Conv3d(kernel.shape[1], kernel.shape[0], kernel.shape[2:], **how)
        return loaded(made, weight=kernel, bias=w[f"{name}/bias"])

    def norm(name: str) -> nn.Module:
        given = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "var"}
        made = nn.BatchNorm3d(WIDTHS[name], eps=EPSILON)
        return loaded(made, **{key: w[f"{name}/{ours}"] for key, ours in given.items()})

    class Stage(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.widen = conv("widen") if name == "stage2" else nn.Identity()
            self.conv, self.norm = conv(name, padding=1), norm(name)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.widen(x)
            return torch.relu(x + self.norm(self.conv(x)))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(conv("stem", stride=(1, 2, 2), padding=1), norm("stem"), nn.ReLU())
            self.stage1, self.stage2 = Stage("stage1"), Stage("stage2")
            self.pool = nn.MaxPool3d((1, 2, 2))
            self.head = loaded(nn.Linear(WIDTHS["stage2"], CLASSES), weight=w["head/kernel"].T, bias=w["head/bias"])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stage2(self.pool(self.stage1(self.stem(x))))
            return self.head(x.mean((2, 3, 4)))

    return Net()


def keras_model(w: Weights) -> Any:
    """The network in Keras."""
    import keras
    from keras import layers

    def conv(name: str, x: Any, strides: tuple[int, int, int] = (1, 1, 1)) -> Any:
        kernel = w[f"{name}/kernel"]
        layer = layers.Conv3D(kernel.shape[-1], kernel.shape[:3], strides, "same", name=f"{name}_conv")
        x = layer(x)
        layer.set_weights([kernel, w[f"{name}/bias"]])
        return x

    def norm(name: str, x: Any) -> Any:
        layer = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")
        x = layer(x)
        layer.set_weights([w[f"{name}/{key}"] for key in ("scale", "shift", "mean", "var")])
        return x

    def stage(name: str, x: Any) -> Any:
        x = layers.Add(name=f"{name}_sum")([x, norm(name, conv(name, x))])
        return layers.ReLU(name=name)(x)

    read = keras.Input((FRAMES, SIZE, SIZE, 3), name="video")
    x = layers.ReLU(name="stem")(norm("stem", conv("stem", read, (1, 2, 2))))
    x = layers.MaxPooling3D((1, 2, 2), name="pool")(stage("stage1", x))
    x = layers.GlobalAveragePooling3D(name="average")(stage("stage2", conv("widen", x)))
    head = layers.Dense(CLASSES, name="head")
    model = keras.Model(read, head(x))
    head.set_weights([w["head/kernel"], w["head/bias"]])
    return model


def flax_model(w: Weights) -> Any:
    """The network in Flax."""
    from flax import nnx

    rngs = nnx.Rngs(0)

    def loaded(part: Any, **values: NDArray[np.float32]) -> Any:
        for key, value in values.items():
            getattr(part, key)[...] = value
        return part

    def conv(name: str, strides: tuple[int, int, int] = (1, 1, 1)) -> Any:
        kernel = w[f"{name}/kernel"]
        made = nnx.Conv(kernel.shape[3], kernel.shape[4], kernel.shape[:3], strides, rngs=rngs)
        return loaded(made, kernel=kernel, bias=w[f"{name}/bias"])

    def norm(name: str) -> Any:
        given = {"scale": "scale", "bias": "shift", "mean": "mean", "var": "var"}
        made = nnx.BatchNorm(WIDTHS[name], epsilon=EPSILON, rngs=rngs)
        return loaded(made, **{key: w[f"{name}/{ours}"] for key, ours in given.items()})

    class Stage(nnx.Module):
        def __init__(self, name):
            self.conv, self.norm = conv(name), norm(name)

        def __call__(self, x):
            return nnx.relu(x + self.norm(self.conv(x)))

    class Net(nnx.Module):
        def __init__(self):
            self.stem = nnx.Sequential(conv("stem", (1, 2, 2)), norm("stem"), nnx.relu)
            self.widen = conv("widen")
            self.stage1, self.stage2 = Stage("stage1"), Stage("stage2")
            head = nnx.Linear(WIDTHS["stage2"], CLASSES, rngs=rngs)
            self.head = loaded(head, kernel=w["head/kernel"], bias=w["head/bias"])

        def __call__(self, x):
            x = nnx.max_pool(self.stage1(self.stem(x)), (1, 2, 2), (1, 2, 2))
            return self.head(self.stage2(self.widen(x)).mean((1, 2, 3)))

    return Net()


def bare_file(model: Path, path: Path) -> Path:
    """Write an exported model without what this package adds: no metadata, no layers as outputs, no names of nodes."""
    onnx = require("onnx", extra="cpu")
    loaded = onnx.load(model)
    del loaded.metadata_props[:]
    kept = [output for output in loaded.graph.output if not output.name.startswith("layer/")]
    del loaded.graph.output[:]
    loaded.graph.output.extend(kept)
    for node in loaded.graph.node:
        node.name = ""
    onnx.save(loaded, path)
    return path


def four_files(folder: Path) -> dict[str, Path]:
    """Export the network from each framework, and write a bare copy of the first file."""
    from sdmetrics.exporters import jax, tensorflow, torch

    w = weights()
    made = {
        "PyTorch": torch.export(torch_model(w), [video("NCTHW")], LAYERS, folder / "torch.onnx"),
        "Keras": tensorflow.export(keras_model(w), [video("NTHWC")], LAYERS, folder / "keras.onnx"),
        "Flax": jax.export(flax_model(w), [video("NTHWC")], LAYERS, folder / "flax.onnx"),
    }
    return {**made, BARE: bare_file(made["PyTorch"], folder / "bare.onnx")}


def four_results(files: Mapping[str, Path], clips: int) -> dict[str, Results]:
    """Analyze the files on the same generated clips, with the same seed."""
    import sdmetrics as sd
    from sdmetrics.clips.generated.world import world_clips

    results = {}
    for name, file in files.items():
        tensors = [f"layer/{layer}" for layer in LAYERS]
        runner = sd.open_model(file, layers=tensors if name == BARE else None, provider="cpu", threads=2)
        results[name] = sd.analyze(runner, world_clips(clips, frames=FRAMES, size=SIZE), seed=0, progress=False)
    return results


def largest_difference(result: Results, expected: Results) -> float:
    """Return the largest difference of a unit's score for either factor."""
    scores = [[[unit[factor] for factor in FACTORS] for unit in one.units] for one in (result, expected)]
    return float(np.abs(np.subtract(*np.array(scores, np.float64))).max())
