"""Files of code as users have them, whose function builds a model that torch cannot export."""

from __future__ import annotations

from pathlib import Path

BUILDS = """
import torch
from torch import nn

import sdmetrics as sd
from sizes import WIDTH


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, WIDTH, 3, 2, 1)
        self.act = nn.{activation}()
        self.tokens = nn.Linear(WIDTH, 6)
        self.fc = nn.Linear(6, 8)

    def forward(self, x):
        x = self.act(self.stem(x))
        # The path depends on a value, which no exporter of torch can follow.
        if x.abs().mean().item() > 1e-9:
            x = x + 1
        x = self.tokens(x.flatten(2).transpose(1, 2))
        return {{"logits": self.fc(x.relu().mean(1))}}


def build():
    torch.manual_seed({seed})
    return Net(), sd.ModelInput("video", frames=4, stride=1, size=(24, 24)), ["stem", "tokens"]
"""


def write_code(
    folder: Path, name: str = "my_code.py", *, width: int = 8, activation: str = "ReLU", seed: int = 0
) -> Path:
    """Write a file whose function `build` returns a small classifier of 8 classes, and a file that it imports."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sizes.py").write_text(f"WIDTH = {width}\n")
    path = folder / name
    path.write_text(BUILDS.format(activation=activation, seed=seed))
    return path
