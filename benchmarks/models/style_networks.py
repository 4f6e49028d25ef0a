"""Train two small style networks on frames of the known-answer world and export them to `tests/data/`.

Each learns to imitate a built-in style: one reads and writes values of 0 to 1, the other of 0 to 255, as most
published style networks do. A minute on two cores. Run from the repository root:
`python -m benchmarks.models.style_networks`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.models.command import main
from sdmetrics.clips.generated.world import world_batch
from sdmetrics.clips.styles.built_in import STYLES
from sdmetrics.probes.onnx_file import save_model

NETWORKS = {"learned-ink": ("ink", 1.0), "learned-neon": ("neon", 255.0)}
"""For each network the style that it imitates and the value of white."""

SIZE, BATCH = 96, 16
TRAINING_SEED, HELD_OUT_SEED = 2000, 1999


class StyleNetwork(nn.Module):
    """Four convolutions; its colours depend on a neighbourhood of 11×11 pixels."""

    def __init__(self, white: float, channels: int = 12) -> None:
        super().__init__()
        self.white = white
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 5, padding=2, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 5, padding=2, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(channels, 3, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W), 0 to `white`, to the same shape and range."""
        return torch.sigmoid(self.layers(images / self.white - 0.5)) * self.white


def train(style: str, white: float, frames: int, epochs: int) -> StyleNetwork:
    """Train one network from scratch to imitate the style on single frames; the seeds are fixed."""
    torch.manual_seed(0)
    network = StyleNetwork(white)
    inputs, targets = images(style, frames, TRAINING_SEED)
    steps = epochs * (len(inputs) // BATCH)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-2, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs))[: steps // epochs * BATCH].split(BATCH):
            loss = functional.l1_loss(network(white * inputs[batch]) / white, targets[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def images(style: str, frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return frames of one world, and the same frames in the style, (N, 3, H, W), 0 to 1."""
    video = world_batch(frames // 2, frames=2, size=SIZE, seed=seed)[0].reshape(-1, SIZE, SIZE, 3)
    return tensor(video), tensor(STYLES[style](video))


def tensor(video: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 (N, H, W, 3) to float (N, 3, H, W), 0 to 1."""
    return torch.from_numpy(video).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def held_out_loss(network: StyleNetwork, style: str, frames: int = 64) -> float:
    """Return the mean absolute difference to the style on held-out frames, as a share of the value range."""
    inputs, targets = images(style, frames, HELD_OUT_SEED)
    return functional.l1_loss(network(network.white * inputs) / network.white, targets).item()


def export(network: StyleNetwork, path: Path) -> Path:
    """Write the network with dynamic batch, height and width, without metadata of the exporting machine."""
    axes = {0: torch.export.Dim("N"), 2: torch.export.Dim("H"), 3: torch.export.Dim("W")}
    program = torch.onnx.export(
        network,
        (torch.zeros(2, 3, SIZE, SIZE),),
        dynamo=True,
        input_names=["picture"],
        output_names=["styled"],
        dynamic_shapes=(axes,),
        verbose=False,
    )
    model: onnx.ModelProto = program.model_proto
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    return save_model(model, path)


def make(name: str, frames: int, epochs: int, folder: Path) -> tuple[Path, str]:
    """Train, test and export a network of `NETWORKS`."""
    style, white = NETWORKS[name]
    network = train(style, white, frames, epochs)
    path = export(network, folder / f"{name}.onnx")
    return path, f"held-out loss {held_out_loss(network, style):.3f}"


if __name__ == "__main__":
    main(__doc__, list(NETWORKS), make, "frames", 512, Path("tests/data"))
