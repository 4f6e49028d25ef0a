"""Train the two small models of the known-answer world and export them to `sdmetrics/data/`.

Both are the same 3-D ResNet, trained on the same unstyled clips: one to classify the motion, one to classify the
texture. A few minutes on two cores. Run from the repository root: `python -m benchmarks.models.world_models`.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.models.command import main
from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS, world_batch
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput

VIDEO = ModelInput("video", frames=8, stride=1, size=(40, 40))
LAYERS = ["stem", "stage1", "stage2", "stage3", "stage4"]
LABELS = {"motion": MOTIONS, "appearance": APPEARANCES}
BATCH = 16
TRAINING_SEED, HELD_OUT_SEED = 1000, 999


class Block(nn.Module):
    """Two 3×3×3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm3d(channels_out)
        self.conv2 = nn.Conv3d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm3d(channels_out)
        self.shortcut = nn.Sequential(
            nn.Conv3d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm3d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to the block's channels and stride."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class SmallResNet3d(nn.Module):
    """A stem, four stages of one block, global average pooling, a linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 16, (1, 5, 5), (1, 2, 2), (0, 2, 2), bias=False), nn.BatchNorm3d(16), nn.ReLU()
        )
        self.stage1 = Block(16, 16, (1, 1, 1))
        self.stage2 = Block(16, 24, (1, 2, 2))
        self.stage3 = Block(24, 32, (2, 2, 2))
        self.stage4 = Block(32, 48, (1, 1, 1))
        self.fc = nn.Linear(48, classes)

    def forward(self, video: Tensor) -> Tensor:
        """Map normalised (N, 3, T, H, W) to (N, classes)."""
        x = self.stage4(self.stage3(self.stage2(self.stage1(self.stem(video)))))
        logits: Tensor = self.fc(x.mean((2, 3, 4)))
        return logits


def normalised(video: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 (N, T, H, W, 3) to the input of the model."""
    x = (torch.from_numpy(video).float() / 255 - VIDEO.mean[0]) / VIDEO.std[0]
    return x.permute(0, 4, 1, 2, 3).contiguous()


def train(task: str, clips: int, epochs: int) -> SmallResNet3d:
    """Train one model from scratch, with new clips in every epoch; the seeds are fixed."""
    torch.manual_seed(0)
    model = SmallResNet3d(len(LABELS[task]))
    steps = epochs * -(-clips // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    for epoch in range(epochs):
        start, losses = time.perf_counter(), []
        video, labels = labelled(task, clips, TRAINING_SEED + epoch)
        for first in range(0, clips, BATCH):
            batch = slice(first, first + BATCH)
            loss = functional.cross_entropy(model(normalised(video[batch])), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(
            f"{task}: epoch {epoch + 1}, loss {np.mean(losses):.3f}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    return model.eval()


def labelled(task: str, clips: int, seed: int) -> tuple[NDArray[np.uint8], Tensor]:
    """Return clips of one world with the labels of one task."""
    video, motion, appearance = world_batch(clips, frames=VIDEO.frames, size=VIDEO.size[0], seed=seed)
    return video, torch.from_numpy(motion if task == "motion" else appearance)


@torch.no_grad()
def accuracy(model: SmallResNet3d, task: str, clips: int = 480) -> float:
    """Return the top-1 accuracy on held-out clips."""
    video, labels = labelled(task, clips, HELD_OUT_SEED)
    answers = torch.cat([model(normalised(part)).argmax(1) for part in np.array_split(video, 10)])
    return (answers == labels).float().mean().item()


def make(task: str, clips: int, epochs: int, folder: Path) -> tuple[Path, str]:
    """Train, test and export the model of one task."""
    model = train(task, clips, epochs)
    path = export(model, [VIDEO], LAYERS, folder / f"world-{task}.onnx")
    return path, f"held-out accuracy {accuracy(model, task):.1%}"


if __name__ == "__main__":
    main(__doc__, list(LABELS), make, "clips", 2400, Path("sdmetrics/data"))
