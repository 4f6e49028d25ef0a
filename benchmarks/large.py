"""Export a video encoder of more than 2.5 GiB, make its probe, analyze two clips, and print the peak memory of each.

    python -m benchmarks.large [--write docs/own-model.md]

The weights are random. Each step runs in a process of its own; the folder of the files is removed afterwards.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

import sdmetrics as sd
from benchmarks.machine import describe_machine
from benchmarks.readme import add_write_option, write_between
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export

WIDTH, HIDDEN, HEADS, DEPTH = 1408, 6144, 16, 28
"""The width of ViT-g, and as many of its 40 blocks as give more than 2.5 GiB."""

INPUT = sd.ModelInput("video", frames=8, stride=1, size=(56, 56))
LAYERS = [f"blocks.{index}" for index in (6, 13, 20, 27)]
GIB = 2**30


class Block(nn.Module):
    """Attention among all tokens and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.rise, self.fall = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        clips, tokens, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(clips, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.project(mixed.transpose(1, 2).flatten(2))
        risen: Tensor = x + self.fall(nn.functional.gelu(self.rise(self.norm2(x))))
        return risen


class Encoder(nn.Module):
    """Tubelets of 2 frames of 14², blocks, and the mean of the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tubelets = nn.Conv3d(3, WIDTH, (2, 14, 14), (2, 14, 14))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))

    def forward(self, video: Tensor) -> Tensor:
        mean: Tensor = self.blocks(self.tubelets(video).flatten(2).transpose(1, 2)).mean(1)
        return mean


def export_encoder(folder: Path) -> None:
    """Make the module and export it."""
    torch.manual_seed(0)
    export(Encoder(), [INPUT], LAYERS, folder / "model.onnx")


def make_probe(folder: Path) -> None:
    """Make the probe of the exported model."""
    build_probe(folder / "model.onnx", folder / "probe.onnx")


def analyze_probe(folder: Path) -> None:
    """Analyze two generated clips."""
    runner = sd.open_model(folder / "probe.onnx", provider="cpu")
    sd.analyze(runner, sd.open_clips("world:2", runner), out=folder / "run", batch=3)


STEPS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "export": (export_encoder, "model.onnx"),
    "probe": (make_probe, "probe.onnx"),
    "analyze": (analyze_probe, "probe.onnx"),
}
"""What is done, and the model that it writes or reads."""


def peak() -> int:
    """Return the most memory that this process has had, in bytes. Mapped files count as far as they were read."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def table() -> str:
    """Return the table as Markdown."""
    rows = ["| step | model, GiB | in files | peak memory, GiB |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory(dir=".", prefix=".large-") as name:
        for step, (_, model) in STEPS.items():
            command = [sys.executable, "-m", "benchmarks.large", "--step", step, name]
            process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            sizes = [file.stat().st_size for file in Path(name).glob(f"{model}*")]
            memory = int(process.stdout.split()[-1])
            rows.append(f"| `{step}` | {sum(sizes) / GIB:.2f} | {len(sizes)} | {memory / GIB:.1f} |")
    setting = (
        f"{DEPTH} blocks of ViT-g with random weights, {len(LAYERS)} layers, two clips of {INPUT.frames} frames of "
        f"{INPUT.size[0]}²; {describe_machine('torch', 'onnxruntime', 'onnx')}"
    )
    return "\n".join([*rows, "", setting])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", nargs=2, metavar=("STEP", "FOLDER"), help="Only one step, in this process.")
    add_write_option(parser, "large")
    arguments = parser.parse_args()
    if arguments.step:
        step, folder = arguments.step
        STEPS[step][0](Path(folder))
        print(peak())
        return
    text = table()
    print(text)
    if arguments.write:
        write_between(arguments.write, "large", text)


if __name__ == "__main__":
    main()
