"""Networks of the package open-rppg, which are written in Keras. The environment chooses the backend.

The package asks for JAX and half precision. Here its networks run in float32 on TensorFlow or on PyTorch, from which
models are exported. `PhysNet` is code of Keras only; `TS-CAN` and `PhysFormer` contain code that TensorFlow cannot
trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras  # first: the package sets another backend for whoever imports Keras later
import numpy as np
from rppg import models

from benchmarks.real import physnet
from benchmarks.real.networks import Network
from sdmetrics.probes.inputs import ModelInput

keras.mixed_precision.set_global_policy("float32")

FOLDER = Path(models.__file__).parent / "weights"

Layers = Mapping[str, Any]


def export_network(network: Network, path: Path) -> Path:
    """Export a network."""
    architecture = network.architecture.partition(" ")[0]
    build, file, video = _NETWORKS[architecture]
    seed = int(network.weights.split()[-1]) if network.random else 0
    keras.utils.set_random_seed(seed)
    model = build()
    model(np.zeros((1, video.frames, *video.size, 3), np.float32))
    if not network.random:
        model.load_weights(str(FOLDER / f"{file}.{network.weights.lower()}.weights.h5"))
    if network.backend == "tensorflow":
        return _export_tensorflow(model, video, path)
    return _export_torch(model, _LAYERS[architecture](model), video, path)


def _export_tensorflow(model: Any, video: ModelInput, path: Path) -> Path:  # noqa: ANN401 (Keras has no types)
    """Export PhysNet, whose blocks Keras numbers."""
    from sdmetrics.exporters.tensorflow import export

    for name in physnet.LAYERS:
        getattr(model, name).name = name
    return export(model, [video], physnet.LAYERS, path)


def _export_torch(model: Any, layers: Layers, video: ModelInput, path: Path) -> Path:  # noqa: ANN401 (Keras has no types)
    """Export a network whose layers are modules of PyTorch."""
    from torch import Tensor, nn

    from sdmetrics.exporters.torch import export

    class Named(nn.Module):
        """The network, with the names that its layers have in the tables."""

        def __init__(self) -> None:
            super().__init__()
            for name, (layer, _) in layers.items():
                self.add_module(name, layer)
            self.network = model

        def forward(self, frames: Tensor) -> Tensor:
            return self.network(frames, training=False)

    return export(Named(), [video], {name: axis for name, (_, axis) in layers.items()}, path, batch=1)


def _tscan_layers(model: Any) -> Layers:  # noqa: ANN401 (Keras has no types)
    """Return the two convolution blocks of the motion branch and of the appearance branch; frames are the batch."""
    return {name: (getattr(model.inner, name), 3) for name in ("d1", "d2", "g1", "g2")}


def _physformer_layers(model: Any) -> Layers:  # noqa: ANN401 (Keras has no types)
    """Return the stem's parts and the blocks."""
    stems = {name: (getattr(model, name), 4) for name in ("stem0", "stem1", "stem2")}
    blocks = [block for part in model.transformers for block in part.blocks]
    return stems | {f"block{number}": (block, 2) for number, block in enumerate(blocks, 1)}


def _video(frames: int, side: int) -> ModelInput:
    """Describe an input that reads values from 0 to 1, 30 frames per second."""
    values = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return ModelInput("video", frames=frames, stride=1, fps=30, size=(side, side), layout="NTHWC", **values)


_NETWORKS: Mapping[str, tuple[Callable[[], Any], str, ModelInput]] = {
    "PhysNet": (models.PhysNet, "physnet", _video(128, 32)),
    "TS-CAN": (lambda: models.TSCANToEnd(models.TSCAN()), "TSCAN", _video(160, 36)),
    "PhysFormer": (models.PhysFormer, "PhysFormer", _video(160, 128)),
}
"""How a network is built, how its files begin, and how it is fed, by architecture."""

_LAYERS: Mapping[str, Callable[[Any], Layers]] = {"TS-CAN": _tscan_layers, "PhysFormer": _physformer_layers}
